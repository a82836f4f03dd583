//! Programs that look at the network: this machine's tables, and whether others answer.

use super::super::spec::{Need, Operands, Program, low, program, safe};
use super::{http, lookups, shows, special};
use crate::domain::DangerLevel::{Critical, High, Medium};

const SOCKETS: &[Need] = &[Need::Netlink, Need::Unix];
const LOOKERS: &[Need] = &[Need::Netlink, Need::Unix, Need::Processes];
const OUT: &[Need] = &[Need::Internet, Need::Netlink, Need::Unix];

/// `ip route show`: what may follow an object; everything else changes it. These programs take words shortened, each object in its
/// own order: `s` is `show` for some and `set` for links, `g` is `get` for routes and `global` for bridges.
const SHOWN: Program = safe("show list lst ls l sh", "").needing(SOCKETS);
const SHOWN_SHORT: Program = safe("s", "").needing(SOCKETS);
const GOT: Program = safe("get g", "").needing(SOCKETS);
const BRIDGED: Program = safe("show list lst ls", "").needing(SOCKETS);
const MONITORED: Program = program("monitor mon m", Medium, "goes on until it is stopped", "").needing(SOCKETS);
const CHANGED: Program =
    program("add a del delete d s g set change chg replace append flush f save restore up down exec", Critical, "changes the network", "");

pub const TABLE: &[Program] = &[
    safe(
        "ss",
        "-0aBdeEHiKlmMnoOpQrsStuTwxZ46bh -A= -f= -N= --all --listening --numeric --tcp --udp --raw --unix --processes --extended --memory --info --summary \
         --resolve --no-header --oneline --options --ipv4 --ipv6 --family= --query= --socket= --packet --dccp --sctp --vsock --bpf --threads --tos --cgroup",
    )
    .raised(&[("-K --kill", Critical, "closes other programs' connections"), ("-D= --diag= -F= --filter=", Medium, "reads or writes another file"), ("-E --events", Medium, "goes on until it is stopped")])
    .judged(lookups::sockets)
    .needing(LOOKERS),
    safe("netstat", "-46aeFgiIlMNnoprsStTuvVWwxC --all --listening --numeric --numeric-hosts --numeric-ports --tcp --udp --raw --unix --programs --program --route --interfaces? --statistics --extend --timers --wide --groups --inet --inet6 --verbose --symbolic")
        .on(Operands::Nothing)
        .needing(LOOKERS),
    safe(
        "ip",
        "-h -s -d -r -o -V -Version -br -j -p -c -4 -6 -0 -a -t -ts -N -iec -f= -l= -stats -statistics -details -brief -json -pretty -color -color? -oneline -resolve -family= -all \
         -human -human-readable -timestamp -Numeric -echo --brief --json",
    )
    .dashed()
    .raised(&[("-b= -batch= -force", High, "runs commands from a file"), ("-n= -netns=", Medium, "looks into another network namespace"), ("-rc= -rcvbuf=", Medium, "unusual")])
    .with(&[
        safe("addr address a ad add", "").with(&[SHOWN, SHOWN_SHORT, MONITORED, CHANGED]),
        safe("link l li lin", "").with(&[SHOWN, MONITORED, CHANGED]),
        safe("route r ro rou rout", "").with(&[SHOWN, SHOWN_SHORT, GOT, MONITORED, CHANGED]),
        safe("neigh neighbor neighbour n ne", "").with(&[SHOWN, SHOWN_SHORT, GOT, MONITORED, CHANGED]),
        safe("rule ru", "").with(&[SHOWN, SHOWN_SHORT, MONITORED, CHANGED]),
        safe("maddr maddress mroute ntable tunnel tuntap vrf addrlabel nexthop token netconf tcp_metrics sr", "").with(&[SHOWN, MONITORED, CHANGED]),
        safe("netns net", "").with(&[safe("list ls show pids identify list-id", ""), program("exec", High, "runs a program in another network namespace", "").judged(super::wrappers::rest), CHANGED]),
        program("monitor mon m", Medium, "goes on until it is stopped", ""),
        program("xfrm macsec l2tp fou ila", Medium, "shows keys, or changes tunnels", ""),
    ])
    .needing(SOCKETS),
    safe("ifconfig", "-asv").at_most(1, Critical, "changes the network").needing(SOCKETS),
    safe("route", "-nevFC46 -A= --numeric --extend --verbose").at_most(0, Critical, "changes where packets go").needing(SOCKETS),
    safe("arp", "-aenvD -H= -i= --all --numeric --verbose --device=").on(Operands::Machines).raised(&[("-d -s -f? --delete --set --file?", Critical, "changes the table of neighbours")]).needing(SOCKETS),
    safe("ethtool", "-aceghiklmnPSTxu --show-features --statistics --driver --show-ring --show-channels --show-coalesce --json")
        .raised(&[("-s -K -G -L -C -A -N -X -U -E -f -r -t -p -d -w= --change --features --set-ring --reset --flash --test --negotiate --identify", High, "changes a network card")])
        .needing(OUT),
    safe("iwconfig iw nmcli networkctl", "").judged(shows::judge).needing(SOCKETS),
    low("resolvectl systemd-resolve", "-46 -i= -p= -t= -c= --interface= --protocol= --type= --class= --legend? --no-pager --json=")
        .with(&[
            low("status statistics", ""),
            low("query service openpgp tlsa", "").on(Operands::Machines),
            low("dns domain llmnr mdns dnssec nta default-route", "").at_most(1, High, "changes the resolver"),
            program("reset-statistics reset-server-features flush-caches revert log-level", Medium, "changes the resolver", ""),
        ])
        .needing(OUT),
    low("ping ping4 ping6", "-46abdDhHLnOqrRUv -c= -i= -I= -l= -m= -M= -N= -p= -Q= -s= -S= -t= -T= -w= -W= -e= -F=")
        .on(Operands::Machines)
        .raised(&[("-f", High, "floods"), ("-A -l=", Medium, "sends as fast as it is answered, or many at once")])
        .judged(lookups::ping)
        .needing(OUT),
    low("traceroute tracepath traceroute6 tracert", "-46bdeFInTUrVlD -A -f= -g=^ -i= -m= -M= -N= -p= -q= -s= -t= -w= -z= -O= -P= --resolve-hostnames").on(Operands::Machines).needing(OUT),
    low("mtr", "-46bejlnoprTtuwxz -c= -i= -m= -f= -P= -s= -a= -B= -G= -Q= -Z= -U= --report --report-wide --report-cycles= --no-dns --json --csv --tcp --udp --port= --interval= --show-ips")
        .on(Operands::Machines)
        .only_with(&["-r", "-w", "-c", "--report", "--report-wide", "--json", "-j", "--csv"], Medium, "waits at a terminal")
        .needing(&[Need::Internet, Need::Netlink, Need::Unix, Need::Forks]),
    low("dig delv kdig", "-46hmruv -b= -c= -p= -q=^ -t= -x=^").judged(lookups::dig).raised(&[("-f=@", Medium, "reads its questions from a file"), ("-k= -y=", Medium, "uses a key")]).needing(OUT),
    low("nslookup", "-type= -query= -q= -debug -nodebug -port= -timeout= -class= -retry= -d2 -recurse -norecurse -vc").dashed().judged(lookups::asks).needing(OUT),
    low("host", "-46aAClrsTUvVw -c= -m= -N= -p= -R= -t= -W=").on(Operands::Machines).needing(OUT),
    program("whois", Medium, "asks other machines, wherever it is sent", "-alLmMcxbBGdHKrR -h= -p= -i= -T= -v= -q= -s= -g=").needing(OUT),
    low("nc ncat netcat", "-46bCDdhnNrStuvzZ -i= -I= -O= -p= -q= -s= -T= -V= -w= -W=").on(Operands::First).only_with(&["-z"], High, "sends and receives whatever it is given")
        .raised(&[("-e= -c= --exec= --sh-exec= --lua-exec=", Critical, "gives a program to the network"), ("-l -k --listen", High, "lets others in"), ("-x= -X= -P= --proxy=", Medium, "goes through another machine")]).needing(OUT),
    low("curl", "").judged(http::curl).needing(OUT),
    low("wget", "").judged(http::wget).needing(OUT),
    low("http https xh", "").judged(http::other),
    low("showmount", "-ade --all --directories --exports --no-headers").on(Operands::Machines).needing(OUT),
    program("telnet ftp sftp tftp lftp rsh rlogin", Medium, "waits at a terminal", "").needing(OUT),
    program("nmap masscan hping3 arping", High, "probes other machines, and writes files", ""),
    program("tcpdump tshark dumpcap ngrep", High, "shows what others send", "").raised(&[("-z=", High, "runs another program"), ("-w=", High, "writes a file")]),
    program("scp rsync rclone", High, "copies files to or from another machine", "").judged(super::wrappers::remote_copy),
    program("socat", High, "connects anything with anything, programs included", "").judged(super::wrappers::socat),
    low("iptables ip6tables iptables-nft iptables-legacy", "-nvxw -L? -S? -t= --list? --list-rules? --line-numbers --numeric --verbose --exact --table= --wait?")
        .only_with(&["-L", "-S", "--list", "--list-rules"], Critical, "changes the firewall")
        .needing(&[Need::Netlink, Need::Firewall]),
    low("iptables-save ip6tables-save", "-c -t= --counters --table=").raised(&[("-f= --file= -M= --modprobe=", High, "writes a file, or runs another program")]).needing(&[Need::Netlink, Need::Firewall]),
    low("nft", "-nsajNSupy -n --numeric --stateless --handle --json --terse").raised(&[("-f= --file= -i --interactive -I= -D=", Critical, "changes the firewall")]).judged(special::tables).with(&[low("list", ""), program("add create delete destroy flush insert replace rename reset import", Critical, "changes the firewall", "")]).needing(&[Need::Netlink, Need::Firewall]),
    low("ipset", "-n -t -o= -terse -name -output=").dashed().with(&[low("list save -L -n", ""), low("test", "").on(Operands::Machines)]).needing(&[Need::Netlink, Need::Firewall]),
    low("conntrack", "-L -S -C -s= -d= -p= -f= -o= --orig-src= --orig-dst= --proto= --output= --stats --count --dump")
        .raised(&[("-D -F -U -I --delete --flush --update --create", Critical, "drops connections"), ("-E --event", Medium, "goes on until it is stopped")])
        .needing(&[Need::Netlink, Need::Firewall]),
    low("tc", "-s -d -p -r -j -n= -stats -statistics -details -json").dashed().with(&[
        low("qdisc class filter chain action", "").with(&[low("show list ls", "")]),
    ]).needing(SOCKETS),
    low("bridge", "-s -d -j -c -statistics -details -json").dashed().with(&[safe("link vlan mdb", "").with(&[BRIDGED, CHANGED]), safe("fdb", "").with(&[BRIDGED, GOT, CHANGED])]).needing(SOCKETS),
    low("openssl", "").judged(super::openssl::judge).needing(OUT),
    low("chronyc", "-anv46 -h=! -p= -N").raised(&[("-m", High, "takes several commands"), ("-f=", Medium, "reads another file")]).with(&[safe("tracking sources sourcestats activity ntpdata clients serverstats rtcdata authdata selectdata", "-av").on(Operands::Machines)]).needing(OUT),
    low("ntpq ntpstat ntpdc", "-npw46 --peers --numeric").judged(lookups::asks).raised(&[("-c= -i --command=", Medium, "may change the time server")]).needing(OUT),
    safe("timedatectl hostnamectl", "-a -p= --no-pager --all --property= --value --json= --static --transient --pretty").with(&[safe("status show timesync-status show-timesync list-timezones", "-a -p= --no-pager --all --property= --value")]).needing(&[Need::Unix]),
    low("loginctl", "-al -p= -n= -o= --no-pager --no-legend --all --full --property= --value --lines=").with(&[safe("list-sessions session-status show-session list-users user-status show-user list-seats seat-status show-seat", "")]).needing(&[Need::Unix]),
    program("ufw firewall-cmd iptables-restore ip6tables-restore iptables-apply ebtables arptables fail2ban-client setenforce semanage setsebool restorecon auditctl aa-disable aa-enforce aa-complain apparmor_parser", Critical, "changes security", "").judged(special::security_status),
];
