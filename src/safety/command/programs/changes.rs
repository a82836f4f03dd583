//! What changes the machine: its power, its users, its packages, its processes. Listed so that the right thing is said about it; an
//! unknown program is treated as badly.

use super::super::spec::{Need, Operands, Program, low, program, safe};
use super::{kill, shell, shows, special, wrappers};
use crate::domain::DangerLevel::{Critical, High, Medium};

pub const TABLE: &[Program] = &[
    program("shutdown reboot halt poweroff init telinit runlevel kexec pm-suspend pm-hibernate", Critical, "takes the machine down", ""),
    program("mkfs mke2fs mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat mkfs.fat mkfs.ntfs mkdosfs newfs", Critical, "makes an empty file system", ""),
    program("lvremove vgremove pvremove lvreduce lvresize lvextend lvcreate vgcreate pvcreate pvmove lvconvert vgextend vgreduce cryptsetup dmsetup losetup multipath", Critical, "changes disks below their files", ""),
    program(
        "passwd chpasswd useradd adduser userdel deluser usermod groupadd addgroup groupdel delgroup groupmod gpasswd newusers visudo vipw vigr chsh chfn pwconv \
         ssh-copy-id authconfig realm update-crypto-policies pam-auth-update",
        Critical,
        "changes who may do what",
        "",
    ),
    program("chage", Critical, "changes who may do what", "").judged(special::ageing),
    program("insmod rmmod modprobe depmod", Critical, "changes the kernel", ""),
    program("exportfs", High, "changes what others may mount", "").judged(special::exports),
    low("modinfo", "-andlp -F= --field="),
    program("umount swapoff fsfreeze fstrim sync", High, "changes file systems", ""),
    program("ssh-keygen ssh-add ssh-agent gpg gpg2 pass keyctl secret-tool age sops certbot", High, "handles keys", ""),
    program("kill pkill killall skill snice killall5", High, "ends processes", "").judged(kill::judge).needing(&[Need::Signals]),
    program("renice schedtool cgset cgclassify", Medium, "changes what processes get", ""),
    program("crontab at batch atrm systemd-tmpfiles", High, "has things run later, or removes them", "").judged(special::crontab),
    program("update-rc.d update-alternatives ldconfig update-grub grub-install grub-mkconfig update-initramfs dracut", High, "changes how the machine starts", ""),
    program("apt apt-get aptitude yum dnf microdnf zypper apk pacman brew snap flatpak", High, "installs or removes software", "").judged(special::packages),
    low("apt-cache", "-afgin --names-only --full --installed").with(&[low("show showpkg policy search depends rdepends madison pkgnames stats dump", "-afgin --names-only --full --installed --recurse")]),
    safe("dpkg-query", "-lLsSWp -f= --list --listfiles --status --search --show --showformat= --print-avail"),
    safe("dpkg", "-lLsSpV --list --listfiles --status --search --print-avail --get-selections --print-architecture --print-foreign-architectures --audit --verify -C")
        .needing(&[Need::Forks])
        .only_with(&["-l", "-L", "-s", "-S", "-p", "-V", "-C", "--list", "--listfiles", "--status", "--search", "--print-avail", "--get-selections", "--print-architecture", "--print-foreign-architectures", "--audit", "--verify"], High, "installs or removes software"),
    safe("rpm", "-qailcdfRVsp -p --query --all --info --list --queryformat= --qf= --requires --provides --changelog --last --whatprovides= --file --verify --noscripts --noscript --nofiles --nodigest --nosignature --docfiles --configfiles")
        .judged(special::rpm)
        .only_with(&["-q", "-V", "--query", "--verify"], High, "installs or removes software")
        .raised(&[("-E= --eval= --pipe= --define= -D= --root= -r= --dbpath= --rcfile= --macros= --load=", High, "runs macros or other programs")]),
    program("pip pip3 npm yarn pnpm gem cargo go composer bundle poetry uv conda mamba mvn gradle make cmake ninja", High, "installs software, or runs what a project says", "").judged(special::language_packages),
    program(
        "python python2 python3 perl ruby node nodejs deno bun php lua luajit tclsh wish Rscript java jshell groovy scala ghci guile osascript irb ipython pypy pypy3 erl iex elixir julia",
        High,
        "runs code that is not read here",
        "",
    )
    .judged(wrappers::language),
    program("gcc cc g++ clang as ld tcc rustc gdb lldb objcopy perf bpftrace bpftool stap trace-cmd criu", High, "makes or looks into programs", "").judged(special::perf),
    program("terraform tofu pulumi ansible ansible-playbook puppet chef-client salt salt-call packer vagrant eksctl kops kubeadm kubelet aws gcloud az doctl heroku gsutil s3cmd mc", High, "changes machines elsewhere", "").judged(special::cloud),
    program("swanctl ipsec wg wg-quick openvpn tailscale zerotier-cli", High, "changes or shows a private network", "").judged(shows::judge),
    program("alias unalias export declare typeset readonly local unset set shopt umask ulimit cd pushd popd dirs jobs fg bg wait read getopts history type let shift return break continue exit logout times suspend caller help", Medium, "belongs to the shell", "").judged(shell::builtin),
    program("enable hash bind complete compgen compopt trap mapfile readarray fc", High, "has the shell run what it is given, now or later", "").judged(shell::builtin),
    program("source .", High, "runs a file in the shell", "").judged(shell::builtin),
    program("xdg-open open start-stop-daemon daemon dbus-send busctl gdbus qdbus", High, "asks others to do something", "").judged(special::busctl),
    program("reset clear tput stty setterm tset dialog whiptail screen tmux byobu zellij", Medium, "changes the terminal, or waits at one", ""),
    program("link symlinks", Medium, "makes links", "").on(Operands::Copied),
];
