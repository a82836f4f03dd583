//! Programs that show what the machine and its processes are doing.

use super::super::spec::{Need, Operands, Program, low, program, safe};
use super::{lookups, ps, shows, special};
use crate::domain::DangerLevel::{Critical, High, Medium};

const PIDS: &[(&str, crate::domain::DangerLevel, &str)] = &[("-F= --pidfile=", Medium, "reads another file")];

pub const TABLE: &[Program] = &[
    safe("uptime", "-ps --pretty --since").on(Operands::Nothing),
    safe("free", "-bkmghltvw -c= -s= --bytes --kilo --mega --giga --kibi --mebi --gibi --human --si --lohi --total --count= --seconds= --wide")
        .on(Operands::Nothing),
    safe("vmstat", "-afmnsdDtwy -p= -S= --active --forks --slabs --one-header --stats --disk --disk-sum --partition= --unit= --wide --timestamp"),
    safe("iostat", "-cdhkmNsxtyz -g= -j= -o= -p? --human --dec? --pretty"),
    safe("mpstat", "-Aun -I= -N= -P= -o= --dec?"),
    safe("pidstat", "-dHhIlRrstUuVvw -C= -e= -G= -p= -T= --human --dec?").raised(&[("-e=", High, "runs another program")]),
    low("sar", "-AbBdFhHpqrRStuvVwWyz -f? -i= -I= -m= -n= -P= -s= -e= -1 --human --dec?").raised(&[("-o?", High, "writes a file")]).needing(&[Need::Forks]),
    safe("top", "-bBcEeHiSs1 -d= -n= -o= -O -p= -u= -U= -w? -E= -e=").only_with(&["-b"], Medium, "waits at a terminal without -b"),
    program("htop atop iotop nmon glances btop", Medium, "waits at a terminal", ""),
    safe("ps", "").judged(ps::judge),
    safe(
        "pgrep",
        "-acfilnovwxAL -d= -g= -G= -P= -s= -t= -u= -U= -r= -O= --delimiter= --list-name --list-full --inverse --lightweight --count --full --pgroup= \
         --group= --ignore-case --newest --oldest --older= --parent= --session= --terminal= --euid= --uid= --exact --runstates= --ns= --nslist=",
    )
    .raised(PIDS),
    safe("pidof", "-cnqsxz -o= -S= --single-shot --omit-pid= --check-root"),
    safe("pstree", "-aAcCgGlnNpSstTuUZ -H= --arguments --compact-not --highlight-all --long --numeric-sort --show-pids --show-parents --uid-changes"),
    safe("pmap", "-dpqxX -A= -r --extended --device --quiet --show-path").needing(&[Need::Processes]),
    safe("pwdx", "").needing(&[Need::Processes]),
    safe("lsof", "-abCDhlnNoOPRtUvVXwx -c= -d= -e= -E -f? -F? -g? -i? -k= -K? -L? -p= -r? -s? -S? -T? -u= -z? -Z? +c= +L? +d= +D= -Q")
        .on(Operands::Names)
        .raised(&[("-m= +m= -A= -D=", Medium, "reads or writes another file")])
        .judged(lookups::open_files)
        .needing(&[Need::Processes, Need::Forks]),
    safe("fuser", "-acCIlmMnsuvV -4 -6 -n= --all --mount --verbose --user --namespace= --ipv4 --ipv6 --silent --list-signals")
        .on(Operands::Names)
        .raised(&[("-k --kill -i --interactive", High, "kills every process that uses it")])
        .judged(lookups::users)
        .needing(&[Need::Processes]),
    safe("uname", "-asnrvmpio --all --kernel-name --nodename --kernel-release --kernel-version --machine --processor --operating-system").on(Operands::Nothing),
    safe("lsb_release", "-acdirsv --all --short --id --description --release --codename").needing(&[Need::Forks]),
    safe("arch nproc users tty logname", "--all --ignore=").on(Operands::Nothing),
    safe("hostname", "-AadfiIsy --all-fqdns --alias --domain --fqdn --long --ip-address --all-ip-addresses --short --nis")
        .raised(&[("-F= --file= -b --boot", Critical, "gives the machine another name")])
        .at_most(0, Critical, "gives the machine another name"),
    safe("dnsdomainname domainname", "").on(Operands::Nothing),
    safe("who", "-abdHlmpqrstTuw --all --boot --dead --heading --login --lookup --count --process --runlevel --short --time --mesg --users").on(Operands::Nothing).judged(special::who),
    safe("w", "-fhiops -w= --no-header --short --from --ip-addr --old-style --pids"),
    safe("last lastb", "-adFiRwx -n= -p= -s= -t= -# --hostlast --dns --fulltimes --ip --limit= --nohostname --present= --since= --until= --time-format= --fullnames --system")
        .raised(&[("-f= --file=", Medium, "reads another file")]),
    safe("lastlog", "-b= -t= -u= --before= --time= --user="),
    safe("faillog", "-a -u= -t= --all --user= --time=").raised(&[("-l= -m= -r", High, "changes who may log in")]),
    safe("id groups", "-agGnruzZ --context --group --groups --name --real --user --zero"),
    safe("whoami", "").on(Operands::Nothing),
    safe("getent", "-s= -i --service= --no-idn").judged(lookups::getent),
    safe("lscpu lsmem lsns lsipc lslocks", "-abcdeJlmnpqrsStuxyBCGgOPQT -o= -i= -N= --all --bytes --cache? --caches? --extended? --json --list --parse? --output= --output-all --noheadings --raw --summary? --task= --type= --pid= --global --hex --online --offline --human-readable"),
    safe("lshw", "-short -businfo -class= -c= -C= -json -xml -quiet -numeric -notime -sanitize -version -help -disable= -enable=").dashed().on(Operands::Nothing).raised(&[("-dump=", High, "writes a file")]),
    safe("lspci lsusb lsmod lsscsi lsinitramfs", "-bDkmntvxsP -d= -s= --short").raised(&[("-q -Q", Medium, "asks other machines what it is"), ("-F= -p= -i= -A= -O= -H=", Medium, "reads another file or the hardware itself")]),
    safe("dmidecode", "-qu -s= -t= -H= --quiet --string= --type= --handle=").raised(&[("--dump-bin=", High, "writes a file"), ("-d= --dev-mem= --from-dump=", High, "reads raw memory")]),
    low(
        "dmesg",
        "-deHJkLPprStTuwWx -f= -l= -s= --color? --decode --ctime --show-delta --facility= --follow --follow-new --human --json --kernel --level= --nopager \
         --noescape --raw --notime --reltime --since= --until= --time-format= --userspace --force-prefix",
    )
    .on(Operands::Nothing)
    .raised(&[("-c -C --read-clear --clear", High, "empties the kernel's log"), ("-D -E -n= --console-off --console-on --console-level=", Medium, "changes what the console shows"), ("-F= --file= -K= --kmsg-file=", Medium, "reads another file")])
    .needing(&[Need::KernelLog]),
    safe("sysctl", "-aAbdeNnqX --all --values --names --binary --ignore --quiet --deprecated -r= --pattern=")
        .raised(&[("-w --write -p? --load? -f? --system", High, "changes the kernel's settings")])
        .judged(special::sysctl),
    safe("date", "-uIR -I? -d= -r= --date= --iso-8601? --rfc-3339= --rfc-email --utc --universal --debug --reference=")
        .raised(&[("-s= --set=", Critical, "sets the clock"), ("-f= --file=", Medium, "reads another file")])
        .judged(special::date),
    safe("cal ncal", "-1 -3 -j -m -s -y -w -A= -B="),
    safe("hwclock", "-rv --show --verbose --get").raised(&[("-w -s --systohc --hctosys --set --adjust", Critical, "sets the clock")]),
    safe("getconf locale localectl", "-a -m -k -v").judged(shows::judge),
    safe("slabtop", "-o -s= --once --sort=").raised(&[("-d= --delay=", Medium, "waits at a terminal")]),
    safe("numastat", "-cmnsvz -p="),
    safe("ipcs", "-abclmpqstu -i= --human --all --shmems --queues --semaphores --limits --summary --time --pid --creator"),
    safe("prlimit", "-p= --pid= --noheadings --raw --verbose -o= --output= --nofile --nproc --as --core --cpu --data --fsize --memlock --rss --stack")
        .on(Operands::Nothing),
    safe("printenv", "-0 --null"),
    safe("lslogins", "-acefGgLlmnpsuz -o= --acc-expiration --failed --last --system-accs --user-accs --output="),
    safe("sensors", "-Aufj"),
    safe("sestatus", "-bv").on(Operands::Nothing),
    safe("getenforce", "").on(Operands::Nothing),
    safe("nfsstat", "-csnrmlv234 --client --server --nfs --rpc --mounts --list").on(Operands::Nothing),
    safe("jps", "-qmlvV").on(Operands::Machines),
    safe("systemd-cgls systemd-cgtop", "-akl1brcmitp -n= -d= -P -M= --all --full --no-pager --iterations= --depth= --batch --raw --order= -u= --unit="),
    safe("systemd-detect-virt", "-cvqr --container --vm --quiet --private-users"),
    low("systemd-analyze", "--no-pager --user --system --fuzz= --man?").with(&[
        safe("time blame critical-chain calendar timespan timestamp syscall-filter unit-paths condition filesystems exit-status capability", ""),
        low("security verify cat-config", "").on(Operands::Contents),
        low("plot dot unit-files", ""),
        program("dump", High, super::environment::SHOWN, ""),
    ]),
    low("coredumpctl", "-1rq -n= -S= -U= --no-pager --no-legend --since= --until= --reverse --all --json=").raised(&[("-F= --field=", Medium, "shows every value that a field had, the environment of crashed programs included")]).with(&[
        low("list info", "-1rq -n= -S= -U= --no-pager --no-legend --since= --until= --reverse"),
        program("dump", High, "writes out a process's memory", ""),
        program("debug gdb", High, "starts a debugger", ""),
    ]),
    low("smartctl", "-aAciHx -l= -d= -n= --all --health --info --attributes --capabilities --xall --scan --json?")
        .on(Operands::Names)
        .raised(&[("-s= --smart= -t= --test= -o= --offlineauto= -S= --saveauto= -X --abort -C", High, "changes the disk or starts a test on it")]),
    low("nvidia-smi", "-Lqi -i= -q -d= -l= --query-gpu= --format= --list-gpus --query --display= --id= --query-compute-apps=")
        .dashed()
        .on(Operands::Nothing),
    low("mdadm", "-D -Q -E --detail --query --examine --scan").on(Operands::Names).only_with(&["-D", "-Q", "-E", "--detail", "--query", "--examine"], Critical, "changes disks"),
    safe("pvs vgs lvs pvdisplay vgdisplay lvdisplay pvscan lvscan vgscan", "-aHmPvcC -o= -O= -S= --all --noheadings --nosuffix --options= --segments --sort= --units= --separator= --reportformat="),
    low("zpool zfs btrfs", "").with(&[
        low("list status get iostat history", "-HprvsPxDTLgil -o= -t= -d= -r"),
        low("filesystem device subvolume", "").with(&[
            low("df show usage stats list", "-abcgGhHkmostTu --raw --human-readable"),
            program("delete del create snapshot set-default resize defragment label add remove", Critical, "changes or removes data", ""),
        ]),
        program("destroy rollback create receive recv detach offline remove labelclear split export import upgrade", Critical, "changes or removes data", ""),
        program("scrub snapshot clone promote rename set inherit mount unmount send online clear balance check", High, "changes a pool", ""),
    ]),
];
