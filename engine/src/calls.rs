//! Calls that any instance may make to all others, by NOTIFY.

/// Who hears the calls of one channel.
pub trait Calls: Send + Sync {
    /// The channel's name.
    fn channel(&self) -> &'static str;

    /// A call has come.
    fn hear(&self, payload: &str);

    /// Calls may have been missed: the connection that they come over was lost, or is new.
    fn missed(&self);
}
