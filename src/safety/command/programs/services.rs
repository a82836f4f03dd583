//! systemd and the daemons that can be asked how they are.

use super::super::spec::{Need, Operands, Program, low, program, safe};
use super::{environment, shows, special};
use crate::domain::DangerLevel::{Critical, High, Medium};

const BUS: &[Need] = &[Need::Unix];
const SHOW: &str = "-alqT -n= -o= -p= -P= -t= --all --full --no-pager --no-legend --lines= --output= --property= --type= --state= --plain --value --failed --reverse --after --before \
     --with-dependencies --timestamp= --recursive --legend? --show-types --no-ask-password --user --system --quiet -r --wait --now --what= --job-mode=";

pub const TABLE: &[Program] = &[
    safe("systemctl", SHOW)
        .judged(environment::systemctl)
        .raised(&[
            ("-H= --host= -M= --machine=", High, "goes to another machine"),
            ("--root= --image= --global", Medium, "looks at another system"),
            ("-f --force --now --runtime --firmware-setup --boot-loader-menu= --kill-whom= -s= --signal=", High, "forces a change"),
        ])
        .with(&[
            safe(
                "list-units list-unit-files list-sockets list-timers list-jobs list-machines list-dependencies list-automounts list-paths is-active \
                 is-failed is-enabled is-system-running get-default help",
                SHOW,
            ),
            low("status", SHOW).why("shows a unit, and the end of its log"),
            low("cat", SHOW).why("shows a unit's file"),
            low("show", SHOW).why("shows what a unit says of itself"),
            program("show-environment", High, environment::SHOWN, SHOW),
            program("daemon-reload reset-failed daemon-reexec log-level log-target service-log-level", Medium, "makes systemd read its files again", SHOW),
            program(
                "start stop restart reload try-restart reload-or-restart try-reload-or-restart condrestart force-reload kill clean freeze thaw enable disable \
                 reenable preset preset-all mask unmask link edit revert add-wants add-requires set-property bind mount-image set-environment \
                 unset-environment import-environment cancel",
                High,
                "changes what runs",
                SHOW,
            ),
            program(
                "poweroff reboot halt kexec soft-reboot exit switch-root suspend hibernate hybrid-sleep sleep suspend-then-hibernate rescue emergency default isolate set-default",
                Critical,
                "takes the machine down, or most of what runs on it",
                "",
            ),
        ])
        .needing(BUS),
    low(
        "journalctl",
        "-b? -n? -aefklmNqrx -c= -g= -n? -o= -p= -S= -t= -u= -U= -T= -# --all --boot? --catalog --cursor= --after-cursor= --dmesg --disk-usage --facility= --fields --follow --full --grep= \
         --case-sensitive? --header --identifier= --exclude-identifier= --invocation= --lines? --list-boots --local --merge --no-full --no-hostname --no-pager --no-tail \
         --output= --output-fields= --pager-end --priority= --quiet --reverse --show-cursor --since= --system --this-boot --unit= --until= --user --user-unit= --utc --verify \
         --truncate-newline --namespace= --list-namespaces --list-invocations",
    )
    .judged(environment::journal)
    .raised(&[
        ("--vacuum-size= --vacuum-time= --vacuum-files= --rotate --flush --sync --relinquish-var --smart-relinquish-var --update-catalog --setup-keys --force", Critical, "removes or moves logs"),
        ("-F= --field=", Medium, "shows every value that a field had, the environment of crashed programs included"),
        ("-D= --directory= --file= -i= --root= --image= -M= --machine= --cursor-file= --interval= --verify-key=", Medium, "reads elsewhere, or writes a file"),
    ]),
    safe("service", "").judged(special::service).needing(&[Need::Unix, Need::Forks]),
    safe("rc-service rc-status initctl chkconfig sv", "").judged(shows::judge).needing(BUS),
    safe("supervisorctl", "").with(&[safe("status avail pid version", ""), low("tail maintail", "-f"), program("start stop restart reload update shutdown signal clear remove add reread", High, "changes what runs", "")]).raised(&[("-c= -s= -u= -p=", Medium, "goes elsewhere")]).needing(&[Need::Unix, Need::Internet, Need::Forks]),
    program("pm2", Medium, "starts its daemon where there is none", "--no-color").with(&[safe("list ls l status show describe jlist prettylist id pid", ""), low("logs log", "--lines= --nostream --err --out --raw")]).needing(&[Need::Unix, Need::Forks]),
    safe("monit", "-B").with(&[safe("status summary report procmatch", "")]).needing(&[Need::Unix, Need::Internet]),
    safe("nginx", "-vVqh").raised(&[("-s= -c= -g= -p= -e=", High, "stops, reloads or starts a server"), ("-t -T", Medium, "opens its logs for writing, or shows the whole configuration")]).only_with(&["-t", "-T", "-v", "-V", "-h"], High, "starts a server"),
    safe("apachectl apache2ctl httpd", "-SvVMl -D=").raised(&[("-t -S -M", Medium, "reads its configuration, loads what that names, and opens its logs for writing"), ("-k= -f= -d= -C= -c= -E=", High, "stops, reloads or starts a server")]).only_with(&["-t", "-S", "-v", "-V", "-M", "-l"], High, "starts a server")
        .with(&[program("configtest", Medium, "opens its logs for writing", ""), safe("status fullstatus", "")]),
    low("haproxy", "-cqvV -f=@").judged(special::haproxy).only_with(&["-c", "-v", "-V"], High, "starts a server").raised(&[("-D -W -S= -C= -L= -p= -x=", High, "starts a server")]),
    low("php-fpm", "-v -h --version").only_with(&["-v", "-h", "--version"], High, "starts a server").raised(&[("-i -m -t", Medium, "reads its configuration, loads what that names, and opens its logs for writing"), ("-c= -n -d= -y= -g= -p= -R -D -F -O", High, "starts a server")]),
    low("named-checkconf named-checkzone", "-cjlxz -D -i= -k= -m= -n=").on(Operands::Contents).raised(&[("-p", High, "shows the whole configuration, keys included")]),
    low("promtool amtool", "--verbose --output= -o=")
        .with(&[low("check", "").on(Operands::Contents).with(&[low("config rules metrics healthy ready service-discovery", "--lint= --syntax-only").on(Operands::Contents)]), low("query", "").with(&[low("instant range series labels", "--start= --end= --step= --match=").on(Operands::First)]), program("check-config", Medium, "reads a file", ""), low("alert silence config", "--alertmanager.url=^").with(&[low("query show", "--alertmanager.url=^ -o= --output= --inhibited --silenced --active")])])
        .needing(&[Need::Internet, Need::Unix, Need::Netlink]),
    low("rabbitmqctl rabbitmq-diagnostics rabbitmq-queues", "-qlt -n=^ -p= --node=^ --quiet --formatter= --timeout= --longnames --no-table-headers --silent --vhost=")
        .with(&[
            low(
                "status list_queues list_exchanges list_bindings list_connections list_channels list_consumers list_vhosts list_permissions list_policies list_users \
                 node_health_check cluster_status ping check_running check_local_alarms check_port_connectivity memory_breakdown alarms \
                 check_virtual_hosts listeners quorum_status observer",
                "-qt -n=^ -p= --node=^ --quiet --formatter= --timeout= --online --offline --local",
            ),
            program("environment report", Medium, "shows the settings, passwords included", ""),
            program("reset force_reset delete_queue purge_queue delete_vhost delete_user forget_cluster_node", Critical, "removes data", ""),
            program("change_password authenticate_user add_user set_permissions clear_permissions set_user_tags", Critical, "changes who may do what", ""),
        ])
        .needing(&[Need::Internet, Need::Unix, Need::Netlink, Need::Forks]),
    low("consul nomad", "-address=^ -http-addr=^ -namespace=").dashed().with(&[low("members info status version monitor", "-wan -detailed -status= -log-level=").dashed(), low("operator", "").with(&[low("raft", "").with(&[low("list-peers", "")])])]).needing(&[Need::Internet, Need::Unix]),
    low("etcdctl", "-w= --endpoints=^ --write-out= --command-timeout= --dial-timeout= --cluster").raised(&[("--cert= --key= --cacert= --user= --password=", Medium, "uses a key")])
        .with(&[low("version", ""), low("endpoint", "--cluster").with(&[low("health status hashkv", "-w= --cluster --write-out=")]), low("member alarm", "").with(&[low("list", "-w= --write-out=")]), program("get watch", High, "shows what is stored, secrets included", ""), program("del defrag snapshot compaction lease role user auth put txn move-leader", Critical, "changes what is stored", "")])
        .needing(&[Need::Internet]),
    low("vault", "-address=^ -format= -namespace= -tls-skip-verify").dashed().with(&[low("status version", ""), program("read kv list login token write delete secrets auth policy unwrap", Critical, "handles secrets", "")]).needing(&[Need::Internet]),
    safe("postqueue mailq", "-pj").raised(&[("-f -i= -s=", High, "sends mail")]).needing(BUS),
    safe("postconf", "-dnhpx"),
    program("postsuper exim sendmail mail mailx mutt", High, "sends or removes mail", ""),
    safe("lpstat lpq atq", "-adoprstv"),
];
