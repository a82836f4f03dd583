//! Docker, Podman, Kubernetes and their like. What a daemon does for us happens outside the sandbox, so only what reads is allowed.

use super::super::spec::{Need, Operands, Program, low, program, safe};
use super::{environment, kubectl};
use crate::domain::DangerLevel::{Critical, High, Medium};

const DAEMON: &[Need] = &[Need::Unix, Need::Internet, Need::Netlink, Need::Forks];

const LIST: &str = "-aqls -f= -n= --all --filter= --format= --last= --latest --no-trunc --quiet --size --digests --tree --no-resolve";
const INSPECT: &str = "-f= -s --format= --size --type= -v --verbose --pretty";

/// Words behind the container's name are options of ps, which can show environments.
const TOP: Program = safe("top", LIST).at_most(1, High, "hands options to ps, which may show environments");
const BUILT: &str = "shows how it was built, passwords given to the build included";

/// Networks and contexts have no environment.
const INSPECTED: Program = low("inspect", INSPECT).judged(environment::inspected);

/// `docker restart`, and everything else that takes a service away or brings another.
const ACTS: Program = program(
    "restart start stop kill pause unpause rename update cp commit create wait attach tag load import login logout push pull build save export plugin \
     swarm service-update checkpoint up down run-once scale secret trust buildx builder manifest",
    High,
    "changes what runs",
    "",
);

const COMPOSE: &[Program] = &[
    safe("ps ls images version top", "-aqn --all --quiet --filter= --format= --services --status= --no-trunc --orphans? --short"),
    low("logs", "-ft -n= --follow --tail= --timestamps --since= --until= --no-color --no-log-prefix --index="),
    low("events port", "--json --protocol= --index="),
    program("config convert", High, "shows the whole configuration, passwords included", ""),
    program("exec run", High, "runs a program inside a container", "-dTiuew --detach").judged(super::wrappers::in_container),
    program("down rm", Critical, "removes containers, and with -v their data", ""),
    ACTS,
];

pub const TABLE: &[Program] = &[
    low("docker podman nerdctl", "-D -l= --debug --log-level=")
        .raised(&[
            ("-H= --host= --url= --connection= -r --remote? -c= --context=", Medium, "goes to another machine"),
            ("--config= --tlscacert= --tlscert= --tlskey= --runtime= --module=", High, "takes its settings, and programs to run, from elsewhere"),
        ])
        .with(&[
            safe("ps images version info port diff", LIST),
            TOP,
            program("history", Medium, BUILT, LIST),
            safe("stats", "-a --all --format= --no-trunc --no-stream"),
            low("logs", "-ft -n= --details --follow --since= --tail= --timestamps --until= --latest --names"),
            INSPECTED,
            low("events", "-f= --filter= --format= --since= --until= --stream? --no-trunc"),
            safe("container", LIST).with(&[
                safe("ls list ps port diff", LIST),
                TOP,
                safe("stats", "-a --all --no-stream --format="),
                low("logs", "-ft -n= --details --follow --since= --tail= --timestamps --until="),
                INSPECTED,
                program("exec run", High, "runs a program inside a container", "").judged(super::wrappers::in_container),
                program("rm prune", High, "removes containers", ""),
                ACTS,
            ]),
            safe("image", LIST).with(&[safe("ls list tree", LIST), program("history", Medium, BUILT, LIST), INSPECTED, program("rm prune", High, "removes images", ""), ACTS]),
            safe("network", LIST).with(&[safe("ls list", LIST), low("inspect", INSPECT), program("create connect disconnect rm remove prune", High, "changes networks", "")]),
            safe("volume", LIST).with(&[safe("ls list", LIST), INSPECTED, program("rm remove prune", Critical, "removes data", ""), program("create update", High, "makes a volume", "")]),
            safe("system", "").with(&[safe("df info events", "-v -f= --verbose --format= --filter= --since= --until="), program("prune", Critical, "removes whatever does not run, data included", "")]),
            safe("context", "").with(&[safe("ls list show", "-q --quiet --format="), low("inspect", INSPECT), program("use create update rm import export", High, "changes where Docker is", "")]),
            safe("node service stack", LIST).with(&[safe("ls list ps tasks", LIST), INSPECTED, low("logs", "-ft -n= --follow --tail= --since= --no-trunc --raw --timestamps"), program("rm remove update scale rollback create deploy demote promote", High, "changes what runs", "")]),
            low("compose", "-f= -p= --file= --project-name= --profile= --ansi= --progress= --project-directory= --env-file= --compatibility")
                .raised(&[("-f= --file= --env-file= --project-directory=", Medium, "takes its settings from a file")])
                .with(COMPOSE),
            program("exec run", High, "runs a program inside a container", "").judged(super::wrappers::in_container),
            program("rm rmi", High, "removes containers or images", ""),
            program("search", Medium, "goes to another machine", ""),
            ACTS,
        ])
        .needing(DAEMON),
    low("docker-compose podman-compose", "-p= --project-name= --profile= --ansi=")
        .raised(&[("-f= --file= --env-file= --project-directory= -H= --host=", Medium, "takes its settings from elsewhere")])
        .with(COMPOSE)
        .needing(DAEMON),
    low("kubectl oc k3s-kubectl", kubectl::GLOBAL).raised(kubectl::GLOBAL_RAISED).with(kubectl::SUBS).judged(kubectl::judge).needing(DAEMON),
    low("crictl", "-D -t= --debug --timeout=")
        .raised(&[("-r= -i= -c= --runtime-endpoint= --image-endpoint= --config=", Medium, "goes to another daemon")])
        .with(&[
            safe("ps pods images img version info stats statsp imagefsinfo", "-aqvo -l -o= -n= --all --quiet --verbose --no-trunc --latest --output= --name= --namespace= --state= --label= --id= --pod= --image="),
            program("inspect inspectp inspecti", High, environment::SHOWN, "-q -o= --output= --quiet"),
            low("logs", "-ftpq -o= --follow --tail= --since= --timestamps --previous --output= --quiet"),
            program("exec", High, "runs a program inside a container", "").judged(super::wrappers::in_container),
            program("rm rmp rmi stop stopp start run runp create pull update", High, "changes what runs", ""),
        ])
        .needing(DAEMON),
    low("helm", "-n= --namespace= --kube-context= --debug")
        .raised(&[("--kubeconfig= --kube-apiserver= --kube-token= --registry-config= --repository-config=", High, "takes its settings, and programs to run, from elsewhere")])
        .with(&[
            low("status", "-n= --namespace= --revision= --show-desc --show-resources").raised(&[("-o= --output=", High, "shows values, passwords included")]),
            low("list ls history version env", "-aqAo -o= -n= -f= -m= -l= --all --all-namespaces --output= --revision= --max= --short --filter= --selector= --deployed --failed --pending --date --reverse"),
            program("search show", Medium, "asks other machines", ""),
            program("get template", High, "shows values, passwords included", ""),
            program("uninstall delete", Critical, "removes a release", ""),
            program("install upgrade rollback repo plugin push pull dependency create package test registry lint", High, "changes what runs", ""),
        ])
        .needing(DAEMON),
    low("ctr", "-n= -a= --namespace= --address=").with(&[safe("containers c container images i image tasks t task version namespaces", "").with(&[safe("ls list info", "-q --quiet")])]).needing(DAEMON),
    safe("machinectl", "--no-pager -l --full").with(&[safe("list status show list-images image-status", "-al --all --no-pager")]).needing(&[Need::Unix]),
    safe("virsh", "-qr -c= --readonly --quiet").raised(&[("-c= --connect=", Medium, "goes to another machine")]).with(&[safe("list dominfo domstate domstats nodeinfo net-list pool-list version", "--all --inactive --name").on(Operands::Text)]).needing(DAEMON),
];
