//! Messages to systemd: ready, reloading, stopping, alive (`sd_notify(3)`). Without systemd, they go
//! nowhere.

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

/// The service accepts connections.
pub(super) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload has begun. Its end is told by [`notify_ready`].
pub(super) fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the monotonic clock"),
    }
}

/// The service finishes the requests in flight, and then ends.
pub(super) fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Reports at half the interval that `WatchdogSec=` demands that the runtime still runs tasks. Ends at
/// once if no watchdog is configured.
pub(super) async fn report_alive() {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return };
    let mut interval = tokio::time::interval(timeout / 2);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
