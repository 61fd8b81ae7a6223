//! Jobs of several processes: searches in a stream that knows who holds what, hints and answers in lists.
//!
//! Each process that asks has a list of its own to which answers come; they must not get lost with a subscription, as a
//! hint may. The stream's consumer group remembers to whom each search was delivered and when it was last heard of.

pub(super) mod popper;
pub(super) mod reader;
pub(super) mod streams;

/// The consumer group of all workers.
const GROUP: &str = "workers";

/// The field of a stream entry that has the search.
const JOB: &str = "job";

/// The field of a stream entry that names the process that asked.
const FROM: &str = "from";

/// Entries that a stream or list keeps: beyond that the oldest are lost, and their askers told after 30 s.
const LENGTH_MAX: usize = 10_000;

/// Dead letters are kept for people to look at.
const DEAD_LETTERS_MAX: usize = 1000;

/// Seconds for which answers wait for a process that does not come for them.
const REPLIES_KEPT_S: i64 = 120;

/// The names of everything.
#[derive(Clone)]
struct Names {
    searches: String,
    dead_letters: String,
    hints: String,
}

impl Names {
    fn of(redis: &crate::realtime::redis::Redis) -> Self {
        Self {
            searches: redis.key("jobs:searches"),
            dead_letters: redis.key("jobs:dead-letters"),
            hints: redis.key("jobs:answers"),
        }
    }
}

/// Where the answers for a process wait.
fn replies(redis: &crate::realtime::redis::Redis, node: &str) -> String {
    redis.key(&format!("jobs:replies:{node}"))
}
