//! Providers that fail: what is tried again, what is told, and what is never told.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use switchboard::assistant::{Finish, Kind, Tool};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    ask, assistant, finish, prompt,
    scripted::{CALLED, Reply, STOP, Scripted, call, text},
    settings,
    tools::offering,
};

fn good() -> Reply {
    Reply::stream(&format!("{}{STOP}", text("fine")))
}

#[tokio::test]
async fn a_busy_provider_is_asked_again_when_it_says() {
    let busy = Reply::status(429, "retry-after: 1\r\n", r#"{"error":{"message":"slow down"}}"#);
    let server = Scripted::start([busy, good()]).await;
    let begun = Instant::now();
    let outcome = ask(&server.base_url, "hi").await;
    assert_eq!(outcome.text(), "fine");
    assert!(begun.elapsed() >= Duration::from_secs(1), "Retry-After is obeyed");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_failing_provider_is_asked_three_times() {
    let failing = Reply::status(500, "", "<html>oops, key sk-123</html>");
    let server = Scripted::start([failing.clone(), failing.clone(), failing, good()]).await;
    let error = ask(&server.base_url, "hi").await.error();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(!error.cause.contains("sk-123") && !error.message.contains("sk-123"));
    assert!(error.cause.contains("status 500"), "{}", error.cause);
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn what_cannot_pass_is_not_tried_again() {
    let quota = r#"{"error":{"message":"no money","code":"insufficient_quota"}}"#;
    for (status, body, kind) in [
        (400, r#"{"error":{"code":400,"message":"bad"}}"#, Kind::Rejected(400)),
        (401, r#"{"detail":"who are you"}"#, Kind::Misconfigured),
        (404, r#"{"error":"no such model"}"#, Kind::Misconfigured),
        (429, quota, Kind::Misconfigured),
        (501, "not here", Kind::Unavailable),
    ] {
        let server = Scripted::start([Reply::status(status, "", body), good()]).await;
        let error = ask(&server.base_url, "hi").await.error();
        assert_eq!(error.kind, kind, "status {status}");
        assert!(error.cause.contains(&format!("status {status}")), "{}", error.cause);
        assert_eq!(server.received().len(), 1, "status {status}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable() {
    let error = ask("http://127.0.0.1:1/v1", "hi").await.error();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(error.cause.contains("cannot connect"), "{}", error.cause);
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_has_failed() {
    let half = text("half of ");
    let in_band = format!("{half}data: {{\"error\":{{\"code\":502,\"message\":\"secret\"}}}}\n\n{STOP}");
    let said_so = format!("{half}data: {{\"choices\":[{{\"finish_reason\":\"error\"}}]}}\n\n");
    for (what, reply) in [
        ("a clean end without a finish reason", Reply::stream(&half)),
        ("DONE without a finish reason", Reply::stream(&format!("{half}data: [DONE]\n\n"))),
        ("a cut", Reply::cut(&half)),
        ("malformed data", Reply::stream(&format!("{half}data: {{\"choi\n\n{STOP}"))),
        ("an unfit type", Reply::stream(&format!("{half}data: {{\"choices\":7}}\n\n{STOP}"))),
        ("an error in the stream", Reply::stream(&in_band)),
        ("a finish reason that is an error", Reply::stream(&said_so)),
    ] {
        let server = Scripted::start([reply, good()]).await;
        let outcome = ask(&server.base_url, "hi").await;
        assert_eq!(outcome.text(), "half of ", "{what}");
        let error = outcome.error();
        assert_eq!(error.kind, Kind::Broken, "{what}");
        assert!(!error.cause.contains("secret"), "{what}");
        assert_eq!(server.received().len(), 1, "{what}: text was shown, so nothing is asked again");
    }
}

#[tokio::test]
async fn what_follows_the_end_does_no_harm() {
    for tail in ["data: [DONE]\n\n", "data: {broken\n\n", "data: {\"error\":{}}\n\n"] {
        let finished = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let server = Scripted::start([Reply::stream(&format!("{}{finished}{tail}{tail}", text("whole")))]).await;
        let outcome = ask(&server.base_url, "hi").await;
        assert_eq!(outcome.text(), "whole");
        assert_eq!(outcome.done().1, Finish::Stop);
    }
}

#[tokio::test]
async fn a_character_may_come_in_two_packets() {
    let whole = format!("{}{STOP}", text("naïve ✓"));
    let bytes = whole.as_bytes();
    let middle = whole.find('✓').expect("it is there") + 1;
    let (left, right) = bytes.split_at(middle);
    let server = Scripted::start([Reply::stream("").then(left).then(right)]).await;
    assert_eq!(ask(&server.base_url, "hi").await.text(), "naïve ✓");
}

#[tokio::test]
async fn silence_ends_with_the_time_limit() {
    for reply in [Reply::silence(), Reply::stream(&text("one ")).hold()] {
        let mut server = Scripted::start([reply]).await;
        let mut settings = settings(&server.base_url);
        settings.total_timeout = Duration::from_millis(400);
        let error = finish(assistant(&settings).stream(prompt("hi"))).await.error();
        assert_eq!(error.kind, Kind::TimedOut);
        assert!(server.closed_within(Duration::from_millis(500)).await);
    }
}

/// Collects the log of the whole test binary: a subscriber of one thread misses what others registered first.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic while held").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_key_and_no_words_reach_the_log_at_any_level() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    let quoted = r#"{"error":{"message":"bad key sk-hidden for: private question"}}"#;
    let replies = [
        Reply::status(500, "", quoted),
        Reply::stream(&format!("{}data: {{\"private answer\n\n", text("private answer"))),
        Reply::stream(&format!("{}{CALLED}", call(0, "private", "private_tool", "{\"query\":\"private"))),
        Reply::status(400, "", r#"{"error":{"message":"private response_format"}}"#),
        Reply::stream(&format!("{}{STOP}", text("private nonsense"))),
    ];
    let server = Scripted::start(replies).await;
    let mut settings = settings(&server.base_url);
    settings.primary.api_key = Some("sk-hidden".to_owned());
    let error = finish(assistant(&settings).stream(prompt("private question"))).await.error();
    assert_eq!(error.kind, Kind::Broken);
    let assistant = assistant(&settings);
    let tools = [Tool::SearchArticles];
    assert_eq!(finish(assistant.stream(offering("private question", &tools))).await.calls.len(), 1);
    let categories = ["private category".to_owned()];
    assistant.extract_filters("private search", None, &categories).await.expect_err("only nonsense comes");
    let log = String::from_utf8(log.0.lock().expect("no panic while held").clone()).expect("text");
    assert!(log.contains("asked again"), "the log is really collected");
    assert!(!log.contains("sk-hidden") && !log.contains("private"), "{log}");
    assert!(!format!("{settings:?}").contains("sk-hidden"));
}
