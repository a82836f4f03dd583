//! Load, memory and disks, read from /proc and statvfs. Never looks at network or FUSE file systems: a server that is gone would
//! hang the reader.

use crate::clients::fleet::{Cpu, Disk, Memory, ResourceCheck, Resources};
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::{fs, thread, time::Duration};

const SAMPLE: Duration = Duration::from_millis(200);
/// What a disk is; the rest is virtual or remote.
const ON_DISK: [&str; 9] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "overlay"];

/// Blocks for a fifth of a second if the CPU is asked for.
pub fn read(checks: &BTreeSet<ResourceCheck>) -> Result<Resources> {
    let asked = |check| checks.contains(&check);
    Ok(Resources {
        cpu: asked(ResourceCheck::Cpu).then(cpu).transpose()?,
        memory: asked(ResourceCheck::Memory)
            .then(|| fs::read_to_string("/proc/meminfo").and_then(|text| parse_memory(&text)))
            .transpose()?,
        disks: asked(ResourceCheck::Disk).then(|| fs::read_to_string("/proc/self/mounts").map(|text| disks(&text))).transpose()?,
    })
}

fn cpu() -> Result<Cpu> {
    let ticks = || fs::read_to_string("/proc/stat").and_then(|text| parse_ticks(&text));
    let before = ticks()?;
    thread::sleep(SAMPLE);
    let after = ticks()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let mut loads = load.split_whitespace().map(|word| word.parse().map_err(|_| strange("/proc/loadavg", &load)));
    let mut next = || loads.next().unwrap_or_else(|| Err(strange("/proc/loadavg", &load)));
    Ok(Cpu {
        load1: next()?,
        load5: next()?,
        load15: next()?,
        cores: thread::available_parallelism()?.get() as u32,
        busy_percent: percent(after.0.saturating_sub(before.0), after.1.saturating_sub(before.1)),
    })
}

/// (busy, all) of the line `cpu  user nice system idle iowait irq softirq steal …`.
fn parse_ticks(text: &str) -> Result<(u64, u64)> {
    let line = text.lines().find(|line| line.starts_with("cpu ")).ok_or_else(|| strange("/proc/stat", text))?;
    let numbers = line.split_whitespace().skip(1).take(8).map(str::parse::<u64>);
    let numbers = numbers.collect::<std::result::Result<Vec<_>, _>>().map_err(|_| strange("/proc/stat", line))?;
    let [_, _, _, idle, waiting, ..] = numbers.as_slice() else {
        return Err(strange("/proc/stat", line));
    };
    let all: u64 = numbers.iter().sum();
    Ok((all - idle - waiting, all))
}

fn parse_memory(text: &str) -> Result<Memory> {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = value.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kilobytes.map(|kb| kb * 1024).ok_or_else(|| strange("/proc/meminfo", name))
    };
    let (total, available) = (field("MemTotal")?, field("MemAvailable")?);
    Ok(Memory { total, available, used_percent: percent(total.saturating_sub(available), total) })
}

/// One entry a file system: a bind mount is not a second disk.
fn disks(mounts: &str) -> Vec<Disk> {
    let mut seen = BTreeMap::new();
    for (device, mount) in parse_mounts(mounts) {
        // A mount that we may not look into is left out, as `df` does.
        let (Ok(space), Ok(stat)) = (rustix::fs::statvfs(&mount), rustix::fs::stat(&mount)) else {
            continue;
        };
        // Containers have single files mounted.
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            continue;
        }
        let used = space.f_blocks.saturating_sub(space.f_bfree);
        seen.entry(stat.st_dev).or_insert(Disk {
            mount,
            device,
            total: space.f_blocks * space.f_frsize,
            available: space.f_bavail * space.f_frsize,
            used_percent: percent(used, used + space.f_bavail),
        });
    }
    let mut disks: Vec<_> = seen.into_values().filter(|disk| disk.total > 0).collect();
    disks.sort_by(|a, b| a.mount.cmp(&b.mount));
    disks
}

fn parse_mounts(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (device, mount, kind) = (words.next()?, words.next()?, words.next()?);
            (ON_DISK.contains(&kind) || mount == "/").then(|| (unescape(device), unescape(mount)))
        })
        .collect();
    // The shortest path first: it is the mount that people mean.
    found.sort_by_key(|(_, mount)| mount.len());
    found
}

/// The kernel writes space, tab, newline and backslash as `\040` and so on.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, char)| text.replace(code, char))
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1000.0 / whole as f64).round() / 10.0 }
}

fn strange(file: &str, seen: &str) -> Error {
    let seen: String = seen.chars().take(80).collect();
    Error::new(ErrorKind::InvalidData, format!("{file} is not as expected: {seen:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cores_memory_and_a_root() {
        let seen = read(&ResourceCheck::ALL.into()).unwrap();
        let (cpu, memory, disks) = (seen.cpu.unwrap(), seen.memory.unwrap(), seen.disks.unwrap());
        assert!(cpu.cores >= 1 && (0.0..=100.0).contains(&cpu.busy_percent), "{cpu:?}");
        assert!(memory.total > memory.available && memory.available > 0, "{memory:?}");
        assert!(disks.iter().any(|disk| disk.mount == "/" && disk.total > disk.available), "{disks:?}");
    }

    #[test]
    fn only_what_was_asked_is_read() {
        let seen = read(&[ResourceCheck::Memory].into()).unwrap();
        assert!(seen.cpu.is_none() && seen.disks.is_none() && seen.memory.is_some());
    }

    #[test]
    fn remote_and_virtual_mounts_are_left_out_and_names_unescaped() {
        let text = "proc /proc proc rw 0 0\n/dev/sdb1 /mnt/my\\040disk ext4 rw 0 0\nnas:/x /nas nfs4 rw 0 0\n/dev/sda1 / ext4 rw 0 0\n";
        let found = parse_mounts(text);
        assert_eq!(found, [("/dev/sda1".into(), "/".into()), ("/dev/sdb1".into(), "/mnt/my disk".into())]);
    }

    #[test]
    fn a_file_that_is_not_as_expected_is_an_error() {
        assert!(parse_ticks("cpu  1 2\n").is_err());
        assert!(parse_memory("MemTotal: 5 kB\n").unwrap_err().to_string().contains("MemAvailable"));
        assert_eq!(parse_ticks("cpu  10 0 10 70 10 0 0 0 5 5\n").unwrap(), (20, 100));
    }
}
