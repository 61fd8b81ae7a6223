//! How often a growing answer is told: soon, but not so often that its chunks outweigh its text.

use std::time::Duration;

use tokio::time::Instant;

/// When the next chunk is due: gathered for the configured window, and for longer the longer the text is, because
/// clients that take `content` get all of it with each chunk. A chunk adds at least a 12th of the text, so that all
/// chunks together stay proportional to it, but nobody waits longer than `slowest` for a word.
pub(super) struct Pace {
    window: Duration,
    last: Instant,
    /// When the next chunk goes out; none when there is nothing to tell.
    pub(super) due: Option<Instant>,
}

impl Pace {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, last: Instant::now(), due: None }
    }

    /// There is untold text.
    pub(super) fn grown(&mut self, (all, untold): (usize, usize)) {
        let slowest = Duration::from_millis(250 + all as u64 / 8).max(self.window);
        let wait = if untold * 12 >= all { self.window } else { slowest };
        let due = self.last + wait;
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// A chunk has gone out.
    pub(super) fn told(&mut self) {
        self.last = Instant::now();
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `tokens` of four bytes, one every `gap`, and returns the sizes of the text at each chunk.
    async fn chunks(tokens: usize, gap: Duration) -> Vec<usize> {
        let mut pace = Pace::new(Duration::from_millis(40));
        let (mut all, mut untold, mut sizes) = (0, 0, vec![]);
        for _ in 0..tokens {
            tokio::time::advance(gap).await;
            if pace.due.is_some_and(|due| due <= Instant::now()) {
                sizes.push(all);
                untold = 0;
                pace.told();
            }
            all += 4;
            untold += 4;
            pace.grown((all, untold));
        }
        sizes
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_of_a_long_answer_stay_cheap() {
        for gap in [2, 5, 10, 20] {
            let sizes = chunks(3_000, Duration::from_millis(gap)).await;
            let with_content: usize = sizes.iter().map(|size| size + 200).sum();
            assert!(with_content < 3 << 20, "{with_content} bytes in {} chunks", sizes.len());
            assert!(sizes.len() * 200 + 12_000 < 3 * 12_000, "{} chunks at {gap} ms a token", sizes.len());
        }
    }
}
