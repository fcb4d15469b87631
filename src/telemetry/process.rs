//! Metrics of the process, with the names that Prometheus client libraries share. Read from `/proc`, so
//! only on Linux.

#[cfg(target_os = "linux")]
pub(super) use linux::write;

/// Appends nothing.
#[cfg(not(target_os = "linux"))]
pub(super) fn write(_text: &mut String) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::sync::LazyLock;

    use rustix::param::{clock_ticks_per_second, page_size};
    use rustix::process::{Resource, getrlimit};

    use crate::telemetry::exposition::{write_header, write_sample};

    /// Appends the metrics. Those that cannot be read are missing.
    pub(in crate::telemetry) fn write(text: &mut String) {
        let stat = Stat::read();
        let max_fds = getrlimit(Resource::Nofile).current.map(|limit| limit as f64);
        for (name, kind, help, value) in [
            (
                "process_cpu_seconds_total",
                "counter",
                "User and system CPU time",
                stat.as_ref().map(|stat| stat.cpu_seconds),
            ),
            (
                "process_resident_memory_bytes",
                "gauge",
                "Resident memory",
                stat.as_ref().map(|stat| stat.resident_bytes),
            ),
            (
                "process_start_time_seconds",
                "gauge",
                "Time at which the process started",
                stat.as_ref().and_then(|stat| Some(*BOOT_TIME_S.as_ref()? + stat.started_s)),
            ),
            ("process_open_fds", "gauge", "Open file descriptors", open_fds()),
            ("process_max_fds", "gauge", "Maximum number of open file descriptors", max_fds),
        ] {
            if let Some(value) = value {
                write_header(text, name, kind, help);
                write_sample(text, name, "", value);
            }
        }
    }

    /// Values of `/proc/self/stat`.
    struct Stat {
        cpu_seconds: f64,
        /// Start of the process, in seconds since the boot.
        started_s: f64,
        resident_bytes: f64,
    }

    impl Stat {
        fn read() -> Option<Stat> {
            let text = fs::read_to_string("/proc/self/stat").ok()?;
            // The name of the program, in parentheses, may contain blanks. Field 3 follows it.
            let (_, fields) = text.rsplit_once(") ")?;
            let fields: Vec<_> = fields.split_whitespace().collect();
            let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
            let ticks = clock_ticks_per_second() as f64;
            Some(Stat {
                cpu_seconds: (field(14)? + field(15)?) / ticks,
                started_s: field(22)? / ticks,
                resident_bytes: field(24)? * page_size() as f64,
            })
        }
    }

    /// Time of the boot. Read once: on machines with many processors `/proc/stat` is large.
    static BOOT_TIME_S: LazyLock<Option<f64>> = LazyLock::new(|| {
        let text = fs::read_to_string("/proc/stat").ok()?;
        text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
    });

    fn open_fds() -> Option<f64> {
        // The folder is open while it is read.
        Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
    }
}
