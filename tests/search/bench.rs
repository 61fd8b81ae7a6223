//! A database of each kind, both with the demo data, side by side: whatever is asked, both have to say the same.

use std::panic::{AssertUnwindSafe, resume_unwind};

use chrono::DateTime;
use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, Database};
use switchboard::{
    demo,
    domain::{
        Timestamp,
        error::Error,
        ids::ListingId,
        listing::{ListingStatus, NewListing, Price},
    },
    store::Store,
};

/// One database of each kind.
pub(crate) struct Both {
    pub(crate) sqlite: Store,
    pub(crate) postgres: Store,
    urls: [String; 2],
}

impl Both {
    /// Both, with their addresses.
    pub(crate) fn each(&self) -> [(&Store, &str); 2] {
        let [sqlite, postgres] = &self.urls;
        [(&self.sqlite, sqlite), (&self.postgres, postgres)]
    }

    /// What both answer; a failure when they differ.
    pub(crate) async fn agree<T>(&self, ask: impl AsyncFn(&Store) -> T) -> T
    where
        T: PartialEq + std::fmt::Debug,
    {
        let answer = ask(&self.sqlite).await;
        assert_eq!(answer, ask(&self.postgres).await, "SQLite and PostgreSQL differ");
        answer
    }

    /// As [`Both::agree`], for what must succeed.
    pub(crate) async fn ask<T>(&self, ask: impl AsyncFn(&Store) -> Result<T, Error>) -> T
    where
        T: PartialEq + std::fmt::Debug,
    {
        self.agree(async |store| ask(store).await.unwrap()).await
    }
}

/// Runs a story on two empty databases.
pub(crate) async fn on_both(story: impl AsyncFnOnce(Both)) {
    let server = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL is not set: run tests/run");
    let admin = Database::connect(&server).await.unwrap();
    let name = format!("search_{}", uuid::Uuid::new_v4().simple());
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let host = server.rsplit_once('/').unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let urls = [format!("sqlite:{}", folder.path().join("chat.db").display()), format!("{host}/{name}")];
    let (sqlite, postgres) = (opened(&urls[0]).await, opened(&urls[1]).await);
    let both = Both { sqlite: sqlite.clone(), postgres: postgres.clone(), urls };
    let outcome = AssertUnwindSafe(story(both)).catch_unwind().await;
    sqlite.close().await.unwrap();
    postgres.close().await.unwrap();
    admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

/// Runs a story on two databases with the demo data.
pub(crate) async fn with_demo(story: impl AsyncFnOnce(Both)) {
    on_both(async |both| {
        let written = both.ask(async |store| store.import_listings(demo_listings(), at(0)).await).await;
        assert!(written >= 60, "{written} listings");
        for (id, markdown) in demo::articles() {
            both.ask(async |store| store.put_article(id, markdown, at(0)).await).await;
        }
        story(both).await;
    })
    .await;
}

async fn opened(url: &str) -> Store {
    let store = Store::connect(url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// The sample listings, read.
pub(crate) fn demo_listings() -> Vec<NewListing> {
    let mut file = csv::Reader::from_reader(demo::listings_csv().as_bytes());
    let rows = file.records().map(|row| {
        let row = row.unwrap();
        NewListing {
            id: Some(ListingId::parse(&row[0]).unwrap()),
            title: row[1].to_owned(),
            description: Some(row[2].to_owned()),
            category: row[3].to_owned(),
            price: Price::parse(row[4].parse().unwrap()).unwrap(),
            status: ListingStatus::parse(&row[5]).unwrap(),
        }
    });
    rows.collect()
}

/// So many seconds after the tests' beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}
