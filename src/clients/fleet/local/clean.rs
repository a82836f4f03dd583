//! Removes old files below declared log roots. Works on descriptors, opened one component at a time: never follows a link,
//! never leaves the file system it began on, never removes a folder, a young file or one that somebody has open, whatever
//! changes under its hands.

use crate::clients::fleet::{Cleaned, RefusedPath, RemovedFile};
use crate::domain::{Time, protected_path};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat, unlinkat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::{ffi::OsStrExt, fs::MetadataExt};
use std::path::{Component, Path, PathBuf};

/// Not even an approval goes below this.
pub const MIN_AGE_DAYS: u32 = 7;
/// Files looked at in one clean-up.
const MAX_FILES: u64 = 100_000;
/// Of the names of removed files: the report of every one of them has to fit the reply.
const MAX_REPORT: usize = 2 * 1024 * 1024;
const MAX_REFUSED: usize = 200;
const MAX_DEPTH: usize = 32;

/// Blocks. `now` is the clock of the machine that holds the files.
pub fn clean(roots: &[PathBuf], paths: &[PathBuf], min_age_days: u32, now: Time) -> Cleaned {
    let mut sweep =
        Sweep { before: now.timestamp() - i64::from(min_age_days.max(MIN_AGE_DAYS)) * 86_400, open: open_files(), ..Sweep::default() };
    for path in paths {
        if min_age_days < MIN_AGE_DAYS {
            sweep.refuse(path, format!("files of {min_age_days} days are too young: expected min_age_days of at least {MIN_AGE_DAYS}"));
        } else if let Err(why) = sweep.path(roots, path) {
            sweep.refuse(path, why);
        }
    }
    sweep.done
}

#[derive(Default)]
struct Sweep {
    /// Seconds since 1970; a file changed at or after it stays.
    before: i64,
    /// Device and inode of every file that some process has open.
    open: HashSet<(u64, u64)>,
    seen: u64,
    report: usize,
    full: bool,
    done: Cleaned,
}

impl Sweep {
    fn path(&mut self, roots: &[PathBuf], path: &Path) -> Result<(), String> {
        let root = roots.iter().find(|root| path.starts_with(root)).ok_or_else(|| {
            let declared = roots.iter().map(|r| r.display().to_string()).collect::<Vec<_>>().join(", ");
            format!("not below a declared log root: expected one of [{declared}]")
        })?;
        if protected_path(root) || protected_path(path) {
            return Err("protected: never cleaned".to_owned());
        }
        let folder = open_folder(path)?;
        let stat = fstat(&folder).map_err(|e| e.to_string())?;
        self.folder(folder, path, stat.st_dev, 0)
    }

    fn folder(&mut self, folder: OwnedFd, path: &Path, device: u64, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("deeper than {MAX_DEPTH} folders"));
        }
        for entry in Dir::read_from(&folder).map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if self.full {
                return Ok(());
            }
            let at = path.join(OsStr::from_bytes(name.to_bytes()));
            if let Err(why) = self.entry(&folder, name, &at, device, depth) {
                self.refuse(&at, why);
            }
        }
        Ok(())
    }

    fn entry(&mut self, folder: &OwnedFd, name: &CStr, at: &Path, device: u64, depth: usize) -> Result<(), String> {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| e.to_string())?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(folder, name, at, &stat, device),
            FileType::Directory => {
                let inner = open_below(folder, name).map_err(below_error)?;
                // Looked at again: what was a folder a moment ago may be another one now.
                let here = fstat(&inner).map_err(|e| e.to_string())?;
                if here.st_dev != device {
                    return Err("another file system is mounted here".to_owned());
                }
                self.folder(inner, at, device, depth + 1)
            }
            FileType::Symlink => Err("a link: not followed, not removed".to_owned()),
            _ => Err("not a regular file".to_owned()),
        }
    }

    fn file(&mut self, folder: &OwnedFd, name: &CStr, at: &Path, stat: &Stat, device: u64) -> Result<(), String> {
        self.seen += 1;
        if self.seen > MAX_FILES || self.report > MAX_REPORT {
            self.full = true;
            return Err(format!("stopped here: at most {MAX_FILES} files are looked at in one clean-up"));
        }
        if stat.st_dev != device {
            return Err("another file system is mounted here".to_owned());
        }
        if stat.st_mtime >= self.before {
            self.done.kept += 1;
            return Ok(());
        }
        if stat.st_nlink > 1 {
            return Err(format!("has {} names (hard links): removing one frees nothing", stat.st_nlink));
        }
        if self.open.contains(&(stat.st_dev, stat.st_ino)) {
            return Err("open by a process: removing it frees nothing and loses its log".to_owned());
        }
        unlinkat(folder, name, AtFlags::empty()).map_err(|e| e.to_string())?;
        let bytes = stat.st_size as u64;
        let path = at.to_string_lossy().into_owned();
        self.report += path.len() + 40;
        self.done.bytes += bytes;
        self.done.removed.push(RemovedFile { path, bytes });
        Ok(())
    }

    fn refuse(&mut self, path: &Path, why: impl Into<String>) {
        // A folder of a million links must not fill the report; that it goes on is said once.
        let (path, why) = match self.done.refused.len() {
            n if n < MAX_REFUSED => (path.to_string_lossy().into_owned(), why.into()),
            MAX_REFUSED => ("…".to_owned(), format!("more than {MAX_REFUSED} were left alone; the rest is not listed")),
            _ => return,
        };
        self.done.refused.push(RefusedPath { path, why });
    }
}

/// From `/` on, one component at a time, none of them a link.
fn open_folder(path: &Path) -> Result<OwnedFd, String> {
    let mut folder: Option<OwnedFd> = None;
    let mut so_far = PathBuf::new();
    for component in path.components() {
        so_far.push(component);
        let opened = match (component, &folder) {
            (Component::RootDir, None) => openat(rustix::fs::CWD, c"/", FOLDER, Mode::empty()),
            (Component::Normal(name), Some(outer)) => openat(outer, name, FOLDER, Mode::empty()),
            _ => return Err("expected an absolute path without `..`".to_owned()),
        };
        folder = Some(opened.map_err(|e| match e {
            // A link opened without following it is ELOOP, or ENOTDIR because a folder was asked for.
            Errno::LOOP | Errno::NOTDIR => format!("{} is a link or not a folder", so_far.display()),
            e => format!("{}: {e}", so_far.display()),
        })?);
    }
    folder.ok_or_else(|| "expected an absolute path".to_owned())
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A folder right below another. The kernel's own rules keep bind mounts out too, where it knows them (5.6 and later).
fn open_below(folder: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let rules = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV | ResolveFlags::BENEATH;
    match openat2(folder.as_fd(), name, FOLDER, Mode::empty(), rules) {
        Err(Errno::NOSYS | Errno::PERM) => openat(folder, name, FOLDER, Mode::empty()),
        opened => opened,
    }
}

fn below_error(e: Errno) -> String {
    match e {
        Errno::XDEV => "another file system is mounted here".to_owned(),
        Errno::LOOP | Errno::NOTDIR => "became a link under our hands".to_owned(),
        e => e.to_string(),
    }
}

/// As far as we may see: other users' processes only as root. A file with an old time that is open but unseen loses its name.
fn open_files() -> HashSet<(u64, u64)> {
    let numbered = |entry: &std::fs::DirEntry| entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter(numbered);
    let descriptors = processes.filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok()).flatten().flatten();
    descriptors
        .filter_map(|fd| std::fs::metadata(fd.path()).ok())
        .filter(|file| file.is_file())
        .map(|file| (file.dev(), file.ino()))
        .collect()
}
