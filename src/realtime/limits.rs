//! How much of one kind one person may do within a minute.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::lock;
use crate::domain::error::Error;

/// The window in which things are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts what each person does, in windows of a minute that begin with the first deed.
#[derive(Default)]
pub struct Limits {
    windows: Mutex<HashMap<(String, &'static str), Window>>,
}

struct Window {
    began: Instant,
    count: u32,
}

impl Limits {
    /// Counts one deed of `kind` by `who`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] for the deed after the `limit`th within a minute, with the time until the next window.
    pub fn count(&self, who: &str, kind: &'static str, limit: u32, now: Instant) -> Result<(), Error> {
        let mut windows = lock(&self.windows);
        let window = windows.entry((who.to_owned(), kind)).or_insert(Window { began: now, count: 0 });
        let age = now.saturating_duration_since(window.began);
        if age >= WINDOW {
            *window = Window { began: now, count: 0 };
        }
        if window.count >= limit {
            return Err(Error::RateLimited { retry_after: WINDOW.saturating_sub(age) });
        }
        window.count += 1;
        Ok(())
    }

    /// Forgets windows that are over, so that memory follows the people who are active.
    pub fn forget_old(&self, now: Instant) {
        lock(&self.windows).retain(|_, window| now.saturating_duration_since(window.began) < WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deed_after_the_limit_is_refused_until_the_window_is_over() {
        let limits = Limits::default();
        let start = Instant::now();
        for _ in 0..3 {
            assert!(limits.count("u", "post", 3, start).is_ok());
        }
        let later = start + Duration::from_secs(20);
        let refused = limits.count("u", "post", 3, later).unwrap_err();
        assert_eq!(refused.retry_after_ms(), Some(40_000));
        assert!(limits.count("u", "typing", 3, later).is_ok(), "kinds are counted apart");
        assert!(limits.count("v", "post", 3, later).is_ok(), "people are counted apart");
        assert!(limits.count("u", "post", 3, start + WINDOW).is_ok());
        limits.forget_old(start + WINDOW + WINDOW);
        assert!(lock(&limits.windows).is_empty());
    }
}
