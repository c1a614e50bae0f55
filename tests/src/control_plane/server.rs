//! One server process that never outlives the process that started it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};

/// The shell leaves a watchdog behind and becomes the server. The watchdog reads a pipe whose other end only the starting
/// process holds: however that process ends, the pipe closes, and the server is killed and its data removed, and the last
/// one to end removes the folder they shared. The servers
/// get SIGKILL because kube-apiserver takes up to a minute to end while watches are open, and the data is thrown away.
const SUPERVISE: &str = r#"
data=$1; shift
exec 3<&0 </dev/null
( trap '' INT TERM HUP; read -r _ <&3; kill -KILL $$; rm -rf -- "$data"; rmdir "${data%/*}" ) >/dev/null 2>&1 &
exec "$@" 3<&-
"#;

/// How much of a server's log an error shows.
const LOG_TAIL_LINES: usize = 15;

/// A running server, killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    child: Child,
    /// Closing it is what ends the server.
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl Server {
    /// Starts `binary` in a folder of its own below `data`.
    pub(super) fn start(name: &'static str, binary: &Path, data: &Path, args: Vec<OsString>) -> Result<Self> {
        let folder = data.join(name);
        fs::create_dir_all(&folder)?;
        let log = folder.join("log");
        let output = File::create(&log)?;
        let mut child = Command::new("sh")
            .args(["-c", SUPERVISE, "sh"])
            .arg(&folder)
            .arg(binary)
            .args(args)
            // A Ctrl-C reaches the whole foreground group; the watchdog has to survive it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name} (`{}`)", binary.display()))?;
        let lifeline = child.stdin.take();
        Ok(Self { name, child, lifeline, log })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of the log when the server has ended by itself.
    pub(super) fn check_running(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        bail!("{} ended ({status}): {}", self.name, self.log_tail());
    }

    /// The last lines the server wrote.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifeline.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
