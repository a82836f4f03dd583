//! Programs that name, count and measure files and file systems.

use super::super::spec::{Need, Operands, Program, low, program, safe};
use super::find;
use crate::domain::DangerLevel::{Critical, High, Medium};

pub const TABLE: &[Program] = &[
    safe(
        "ls dir vdir",
        "-aAbBcCdDfFgGhHiklLmnNopqQrRsStuUvxXZ1 -I= -T= -w= --all --almost-all --author --escape --ignore-backups --directory --dired \
         --classify? --file-type --format= --full-time --group-directories-first --no-group --human-readable --si \
         --dereference-command-line --hide= --hyperlink? --indicator-style= --inode --ignore= --kibibytes --dereference \
         --numeric-uid-gid --literal --hide-control-chars --show-control-chars --quote-name --quoting-style= --reverse --recursive --size \
         --sort= --time= --time-style= --tabsize= --width= --context --zero --color? --block-size=",
    )
    .on(Operands::Names),
    safe("pwd", "-LP --logical --physical").on(Operands::Nothing),
    safe(
        "df",
        "-ahHiklPTv -B= -t= -x= --all --block-size= --human-readable --si --inodes --local --no-sync --output? --portability --print-type --sync \
         --total --type= --exclude-type=",
    )
    .on(Operands::Names),
    safe(
        "du",
        "-0abcDhHklLmPsSx -B= -d= -t= -X=@ --null --all --apparent-size --block-size= --bytes --total --dereference-args --max-depth= \
         --human-readable --inodes --dereference --no-dereference --separate-dirs --si --summarize --threshold= --time? --time-style= \
         --exclude-from=@ --exclude= --one-file-system --count-links -k -m",
    )
    .on(Operands::Names)
    .raised(&[("--files0-from=", Medium, "reads its file names from a file")]),
    safe("stat", "-Lft -c= --dereference --file-system --cached= --format= --printf= --terse").on(Operands::Names),
    low(
        "file",
        "-bdEhikLlnNprsSvzZ0 -e= -F= -P= --brief --exclude= --separator= --mime --mime-type --mime-encoding --keep-going --dereference \
         --no-dereference --no-buffer --preserve-date --raw --special-files --uncompress --print0",
    )
    .on(Operands::Names)
    .raised(&[("-m= --magic-file= -f= --files-from= -C --compile", Medium, "reads or writes other files")]),
    safe("readlink", "-femnqsvz --canonicalize --canonicalize-existing --canonicalize-missing --no-newline --quiet --silent --verbose --zero")
        .on(Operands::Names),
    safe(
        "realpath",
        "-eELmPqsz --canonicalize-existing --canonicalize-missing --logical --physical --quiet --relative-to= --relative-base= --strip --zero",
    )
    .on(Operands::Names),
    safe("basename", "-az -s= --multiple --suffix= --zero"),
    safe("dirname", "-z --zero"),
    safe(
        "tree",
        "-adfilpsughDFiqNQSACnxrtcUvhJX -L= -P= -I= --noreport --charset= --filelimit= --du --si --prune --dirsfirst --timefmt= --sort? --inodes \
         --device --matchdirs --ignore-case --gitignore",
    )
    .on(Operands::Names)
    .judged(super::special::tree)
    .raised(&[("-o=", High, "writes its output into a file"), ("-R", Medium, "may write pages"), ("--fromfile", Medium, "reads a file")]),
    safe("which", "-as --all").needing(&[Need::Forks]),
    safe("whereis", "-bmsul -B= -M= -S= -f"),
    safe("locate mlocate plocate", "-AbceEiLPqrS0 -l= -n= --all --basename --count --existing --ignore-case --limit= --quiet --regex= --statistics")
        .raised(&[("-d= --database=", Medium, "reads another file")]),
    safe("lsattr", "-RVadlpv").on(Operands::Names),
    safe("getfacl", "-acdeEnpRstLP --access --default --omit-header --absolute-names --numeric --recursive --tabular").on(Operands::Names),
    safe("namei", "-lmnovx --long --modes --owners --vertical --nosymlinks").on(Operands::Names),
    safe("mountpoint", "-dqx --fs-devno --devno --quiet").on(Operands::Names),
    safe(
        "findmnt",
        "-AabCcDdEefgiJklmnPpRrsTtUuvxyZ -F= -M= -N= -O= -o= -S= -T= -t= -w= --all --ascii --bytes --df --fstab --json --kernel --list --mtab \
         --noheadings --output= --output-all --pairs --raw --real --submounts --source= --target= --mountpoint= --types= --options= --tree \
         --verify --evaluate --canonicalize --invert --first-only",
    )
    .on(Operands::Names),
    safe(
        "lsblk",
        "-aAbdDfiJlmnOpPrsStTVvzx -e= -I= -o= -M -w= -E= --all --bytes --nodeps --discard --exclude= --fs --include= --ascii --json --list --perms \
         --noheadings --output= --output-all --paths --pairs --raw --inverse --scsi --sort= --topology --tree? --width= --zoned --merge",
    )
    .on(Operands::Names),
    safe("blkid", "-ipVl -c= -L= -n= -o= -O= -s= -S= -t= -u= -U= --output= --match-tag= --match-token= --label= --uuid= --probe --info --list-one")
        .on(Operands::Names),
    safe("mount", "-lv --show-labels --verbose -t= --types=").at_most(0, High, "mounts a file system").raised(&[("-a -o= -B -M -R -n -r -w --all --bind --move --rbind --options= --make-shared --make-private --make-slave --make-rshared --make-rprivate -L= -U=", High, "mounts file systems")]),
    safe("swapon", "-sv --summary --show? --noheadings --raw --bytes --verbose").at_most(0, High, "changes where memory is swapped to").raised(&[("-a -p= -d? -o= -L= -U= --all --priority= --discard? --options=", High, "changes where memory is swapped to")]),
    safe("quota", "-gusvqwpAfml --human-readable? --show-mntpoint"),
    safe("repquota", "-acgiMnpstuvP --all --human-readable?"),
    low("find", "").judged(find::judge).why("walks folders and names what fits"),
    safe("test [", "").judged(super::shell::test).why("compares texts, or asks whether a file is there"),
    program("mkdir", Medium, "makes a folder", "-pvZ -m= --parents --verbose --mode= --context?").on(Operands::Changed),
    program("rmdir", Medium, "removes an empty folder", "-pv --parents --verbose --ignore-fail-on-non-empty").on(Operands::Changed),
    program(
        "touch",
        Medium,
        "makes a file, or changes its time",
        "-acfhm -d= -r= -t= --no-create --date= --no-dereference --reference= --time=",
    )
    .on(Operands::Changed),
    program(
        "cp",
        Medium,
        "writes a copy",
        "-aAbdfHilLnPpRrsuvxTZ -S= -t= --archive --backup? --dereference --force --interactive --link --no-clobber --no-dereference --preserve? \
         --recursive --reflink? --remove-destination --sparse= --strip-trailing-slashes --symbolic-link --suffix= --target-directory= \
         --no-target-directory --update? --verbose --one-file-system",
    )
    .on(Operands::Copied)
    .raised(&[("-t= --target-directory=", High, "the folder that is written to comes first")]),
    program("ln", Medium, "makes a link", "-bdfFiLnPrsTv -S= -t= --symbolic --force --relative --no-dereference --verbose").on(Operands::Copied),
    program("mktemp", Medium, "makes a file", "-dqtu -p= --directory --quiet --tmpdir? --suffix= --dry-run"),
    program("mkfifo", Medium, "makes a pipe", "-m= --mode=").on(Operands::Changed),
    program("install", High, "writes files", "-bCcdDpsTvZ -g= -m= -o= -S= -t=").on(Operands::Copied),
    program("mv", High, "moves files", "-bfinTuvZ -S= -t= --backup? --force --interactive --no-clobber --update? --verbose --target-directory=")
        .on(Operands::Changed),
    program("rename", High, "renames files", ""),
    program("truncate", High, "cuts files off", "-co -r= -s= --no-create --io-blocks --reference= --size=").on(Operands::Changed),
    program("chmod", High, "changes who may do what with files", "-cfvR --changes --quiet --silent --verbose --reference= --recursive")
        .on(Operands::Changed)
        .raised(&[("-R --recursive", High, "below a whole folder")]),
    program("chown chgrp", High, "changes whose files they are", "-cfvhRHLP --changes --quiet --silent --verbose --dereference --no-dereference --from= --reference= --recursive")
        .on(Operands::Changed),
    program("chattr setfacl setfattr setcap", High, "changes what files allow", "").on(Operands::Changed),
    program("unlink", High, "removes a file", "").on(Operands::Changed),
    program(
        "rm",
        High,
        "removes files",
        "-fiIv -d --force --interactive? --dir --verbose --one-file-system --no-preserve-root --preserve-root?",
    )
    .on(Operands::Changed)
    .raised(&[("-r -R --recursive", Critical, "removes whole folders"), ("--no-preserve-root", Critical, "removes the root folder")]),
    program("shred srm wipe", Critical, "destroys files beyond recovery", ""),
    program("dd", Critical, "writes raw blocks", ""),
];
