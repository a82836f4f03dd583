//! Programs that show, sift and count text.

use super::super::spec::{Need, Operands, Program, low, program, safe};
use super::{awk, sed};
use crate::domain::DangerLevel::{Critical, High, Low, Medium};

const GREP: &str = "-acEFGhHiIlLnoPqrRsTUvwxyzZbuV -A= -B= -C= -D= -e= -f=@ -m= -# --extended-regexp --fixed-strings --basic-regexp \
     --perl-regexp --regexp= --file=@ --ignore-case --no-ignore-case --word-regexp --line-regexp --null-data --no-messages --invert-match \
     --max-count= --byte-offset --line-number --line-buffered --with-filename --no-filename --label= --only-matching --quiet --silent \
     --binary-files= --text --devices= --recursive --dereference-recursive --include= --exclude= --exclude-from=@ \
     --exclude-dir= --files-without-match --files-with-matches --count --initial-tab --null --before-context= --after-context= --context= \
     --color? --colour? --binary";

pub const TABLE: &[Program] = &[
    low("cat", "-AbeEnstTuv --show-all --number-nonblank --show-ends --number --squeeze-blank --show-tabs --show-nonprinting").on(Operands::Contents),
    low("tac", "-br -s= --before --regex --separator=").on(Operands::Contents),
    low("head", "-qvz -c= -n= -# --bytes= --lines= --quiet --silent --verbose --zero-terminated").on(Operands::Contents),
    low("tail", "-fFqvz -c= -n= -s= -# --bytes= --follow? --lines= --max-unchanged-stats= --pid= --quiet --silent --retry --sleep-interval= --verbose --zero-terminated")
        .on(Operands::Contents),
    low("grep", GREP).on(PATTERN).raised(FOLDERS),
    // Scripts, on many machines.
    low("egrep", GREP).on(PATTERN).raised(FOLDERS).run_as(&["grep", "-E"]),
    low("fgrep", GREP).on(PATTERN).raised(FOLDERS).run_as(&["grep", "-F"]),
    low("zcat gzcat", "-fhv").on(Operands::Contents).run_as(&["gzip", "-cd"]),
    low("gzip", "").judged(super::special::compress),
    low("gunzip uncompress", "").judged(super::special::compress).run_as(&["gzip", "-d"]),
    low("bzcat", "-s").on(Operands::Contents),
    low("xzcat", "-qv -T=").on(Operands::Contents),
    low("zstdcat", "-qv").on(Operands::Contents),
    low("wc", "-clLmw --bytes --chars --lines --max-line-length --words --total=").on(Operands::Contents).raised(FILES0),
    low(
        "sort",
        "-bCcdfghiMmnRrsuVz -k= -S= -t= --ignore-leading-blanks --dictionary-order --ignore-case --general-numeric-sort --human-numeric-sort \
         --ignore-nonprinting --month-sort --numeric-sort --random-sort --reverse --sort= --version-sort --batch-size= --check? --key= --merge \
         --stable --buffer-size= --field-separator= --parallel= --unique --zero-terminated --debug",
    )
    .on(Operands::Contents)
    .raised(&[
        ("-o= --output=", High, "writes its result into a file"),
        ("--compress-program=", High, "runs another program"),
        ("-T= --temporary-directory=", Medium, "writes into a folder"),
        ("--random-source= --files0-from=", Medium, "reads another file"),
    ]),
    low("uniq", "-cdDiuz -f= -s= -w= -# --count --repeated --all-repeated? --ignore-case --unique --skip-fields= --skip-chars= --check-chars= --group?")
        .on(Operands::Contents).at_most(1, High, "writes into the second file"),
    low("cut", "-nsz -b= -c= -d= -f= --bytes= --characters= --delimiter= --fields= --complement --only-delimited --output-delimiter= --zero-terminated")
        .on(Operands::Contents),
    safe("tr", "-cCdst --complement --delete --squeeze-repeats --truncate-set1"),
    low("nl", "-p -b= -d= -f= -h= -i= -l= -n= -s= -v= -w= --body-numbering= --number-format= --number-width=").on(Operands::Contents),
    low("column", "-eJLnRtx -c= -C= -d -E= -H= -l= -N= -o= -O= -r= -s= -T= -W= --table --separator= --output-separator= --table-columns= --json --fillrows")
        .on(Operands::Contents),
    low("paste", "-sz -d= --delimiters= --serial --zero-terminated").on(Operands::Contents),
    low("join", "-iz -a= -e= -1= -2= -j= -o= -t= -v= --ignore-case --header --check-order --nocheck-order").on(Operands::Contents),
    low("comm", "-123z --check-order --nocheck-order --output-delimiter= --total").on(Operands::Contents),
    low(
        "diff",
        "-abBcdeEfHinNpqrstTuvwyZ -C= -D= -F= -I= -L= -S= -U= -W= -x= -X=@ --brief --report-identical-files --context? --unified? --ed --normal --rcs \
         --side-by-side --width= --left-column --suppress-common-lines --show-c-function --show-function-line= --label= --expand-tabs \
         --initial-tab --recursive --no-dereference --new-file --exclude= --exclude-from=@ --ignore-case --ignore-tab-expansion \
         --ignore-trailing-space --ignore-space-change --ignore-all-space --ignore-blank-lines --ignore-matching-lines= --text \
         --strip-trailing-cr --minimal --color?",
    )
    .on(Operands::Trees),
    low("cmp", "-bls -i= -n= --print-bytes --verbose --silent --quiet --bytes= --ignore-initial=").on(Operands::Contents),
    low("rev", "").on(Operands::Contents),
    low("fold", "-bs -w= --bytes --spaces --width=").on(Operands::Contents),
    low("fmt", "-cstu -w= -p=").on(Operands::Contents),
    low("expand unexpand", "-ia -t= --initial --all --tabs=").on(Operands::Contents),
    low("od", "-abcdfilosvx -A= -j= -N= -S= -t= -w? --address-radix= --skip-bytes= --read-bytes= --format= --width? --strings?").on(Operands::Contents),
    low("hexdump hd", "-bcCdovx -e= -n= -s= --canonical --length= --skip=").on(Operands::Contents).raised(&[("-f= --format-file=", Medium, "reads another file")]),
    low("xxd", "-abCEeiu -c= -g= -l= -o= -s= -p").on(Operands::Contents).at_most(1, High, "writes into the second file"),
    low("strings", "-af -n= -t= -e= -# --all --bytes= --radix= --encoding=").on(Operands::Contents),
    safe(
        "md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum",
        "-bcrstwz -a= --binary --check --tag --text --zero --ignore-missing --quiet --status --strict --warn --algorithm= --raw --untagged",
    )
    .on(Operands::Names),
    low("base64 base32", "-di -w= --decode --ignore-garbage --wrap=").on(Operands::Contents),
    low(
        "jq",
        "-rjaceSMCns -i --raw-output --join-output --ascii-output --compact-output --exit-status --sort-keys --monochrome-output --color-output \
         --null-input --slurp --raw-input --tab --indent= --unbuffered --stream --seq -R",
    )
    .judged(super::special::jq),
    safe("seq", "-w -f= -s= --format= --separator= --equal-width -#"),
    safe("echo", "").judged(super::special::words),
    safe("printf", "").judged(super::shell::printf),
    safe("true false", "").judged(super::special::words),
    program("yes", Medium, "writes the same line until it is stopped", ""),
    safe("sleep", "").why("waits"),
    safe("expr", "").judged(super::special::words),
    safe("factor", ""),
    safe("numfmt", "-z -d= --debug --delimiter= --field= --format= --from= --from-unit= --grouping --header? --invalid= --padding= --round= --suffix= --to= --to-unit= --zero-terminated"),
    low("shuf", "-erz -i= -n= --echo --repeat --zero-terminated --input-range= --head-count=").on(Operands::Contents).raised(&[("-o= --output=", High, "writes its result into a file"), ("--random-source=", Medium, "reads another file")]),
    low("bc", "-hilqsvw --mathlib --quiet --standard --warn --interactive").on(Operands::Contents),
    safe("tsort", "").on(Operands::Contents),
    low("iconv", "-cs -f= -t= --from-code= --to-code= --list").on(Operands::Contents).raised(&[("-o= --output=", High, "writes its result into a file")]),
    program("dos2unix unix2dos", High, "changes files", "").on(Operands::Changed),
    low("ts", "-ris -m"),
    low("awk gawk mawk nawk original-awk", "").judged(awk::judge).why("sifts lines"),
    low("sed gsed", "").judged(sed::judge).why("sifts lines"),
    program("tee", High, "overwrites files", "-aip --append --ignore-interrupts --output-error?").judged(super::special::tee),
    program("split csplit", Medium, "writes files", "-dex -n= -b= -l= -a= -C= -t= --bytes= --lines= --number= --suffix-length= --numeric-suffixes? --verbose").on(Operands::Copied).raised(&[("--filter=", High, "runs another program")]),
    program("less more most view pg", Medium, "waits at a terminal, and can start an editor or a shell from there", "-EeFfgGiIJKLmMnNqQrRsSuUVwWX~ -b= -h= -j= -p= -x= -y= -z= -#")
        .on(Operands::Contents)
        .raised(&[("-o= -O= --log-file= --LOG-FILE=", High, "writes a log file"), ("-k= --lesskey-file= --lesskey-src=", High, "its keys can start programs")]),
    program("zgrep zegrep zfgrep bzgrep xzgrep zdiff zless zmore", Medium, "is a shell script around the program it is named after", ""),
    program("man info", Medium, "waits at a terminal, and starts a pager", "").raised(&[("-P= --pager= -H= --html? --browser=", High, "runs another program"), ("-C= --config-file=", High, "reads who runs what from a file")]),
    program("vi vim nvim vimdiff rvim nano pico emacs emacsclient ed ex joe mcedit micro", High, "is an editor: it writes files and starts programs", ""),
    program("patch", High, "changes files", ""),
    program("bzip2 bunzip2 xz unxz zstd unzstd lzma unlzma compress", Medium, "replaces files", "").judged(super::special::compress),
    program("zip unzip 7z 7za unrar rar cpio ar pax", Medium, "packs or unpacks files", "").judged(super::special::archive),
    program("tar bsdtar", Low, "reads an archive", "").judged(super::tar::judge).needing(&[Need::Forks]),
    program("wall write mesg", Medium, "writes on other people's terminals", ""),
    program("logger", Medium, "writes into the log", ""),
    program("logrotate savelog", High, "moves and removes logs", ""),
    program("wipefs blkdiscard fallocate sgdisk cfdisk gdisk parted partprobe mkswap debugfs resize2fs xfs_growfs xfs_repair fsck e2fsck badblocks hdparm", Critical, "changes disks below their files", ""),
    program("tune2fs", Critical, "changes disks below their files", "").judged(super::special::superblock),
    program("fdisk sfdisk", Critical, "changes disks below their files", "").judged(super::special::partitions),
];

const PATTERN: Operands = Operands::Pattern(&["-e", "-f", "--regexp", "--file"]);
const FOLDERS: &[(&str, crate::domain::DangerLevel, &str)] = &[("-d= --directories=", Medium, "may read whole folders")];
const FILES0: &[(&str, crate::domain::DangerLevel, &str)] = &[("--files0-from=", Medium, "reads its file names from a file")];
