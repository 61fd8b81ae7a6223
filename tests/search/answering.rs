//! Questions, and the passages of the demo articles that answer them.

use switchboard::domain::{error::Error, ids::ArticleId};

use crate::bench::{at, on_both, with_demo};

/// A question, and the article and heading of the best passage; none when nothing fits.
const QUESTIONS: &[(&str, Option<(&str, &str)>)] = &[
    ("how do I reset my password", Some(("account-and-password", "I forgot my password"))),
    ("Forgot pasword!!", Some(("account-and-password", "I forgot my password"))),
    ("Can I change my email?", Some(("account-and-password", "Changing your name or email address"))),
    ("please delete my account", Some(("account-and-password", "Signing out and deleting your account"))),
    ("Can I return a broken item?", Some(("returns-and-refunds", "When you can return something"))),
    ("how do I get my money back", Some(("returns-and-refunds", "Getting your money back"))),
    ("how do I pay", Some(("paying", "Ways to pay"))),
    ("Is there a fee?", Some(("paying", ""))),
    ("can I bargain", Some(("paying", "Is the price negotiable?"))),
    ("where should we meet", Some(("meeting-safely", "Where to meet"))),
    ("how do I report a scam", Some(("paying", "Signs of a scam"))),
    ("are weapons allowed", Some(("reporting-a-listing", "What is not allowed"))),
    ("I want to talk to a person", Some(("contacting-support", "Talking to a person"))),
    ("what are your opening hours", Some(("contacting-support", "Opening hours"))),
    ("how much should I charge for my textbooks", Some(("selling-tips", "Choosing a price"))),
    ("do you ship?", Some(("shipping-and-pickup", "Can it be shipped?"))),
    ("my package never arrived", Some(("shipping-and-pickup", "My parcel has not arrived"))),
    ("payment methods", Some(("paying", "Ways to pay"))),
    ("can i pay by credit card", Some(("paying", "Ways to pay"))),
    ("do you take a commission", Some(("paying", ""))),
    ("Can I trust this buyer who wants to send a check?", Some(("paying", "Signs of a scam"))),
    ("how do i sell something", Some(("selling-tips", "Creating a listing"))),
    ("how to post a listing", Some(("selling-tips", "Creating a listing"))),
    ("how can I list my bike for sale", Some(("selling-tips", "Creating a listing"))),
    ("mark as sold", Some(("selling-tips", "Reserved and sold"))),
    ("i cant log in", Some(("account-and-password", "I forgot my password"))),
    ("how do I register", Some(("account-and-password", "Creating an account"))),
    ("what is forbidden", Some(("reporting-a-listing", "What is not allowed"))),
    ("what happens after I report someone", Some(("reporting-a-listing", "How to report"))),
    ("phone number of support", Some(("contacting-support", ""))),
    ("do you deliver furniture", Some(("shipping-and-pickup", "Delivery of furniture"))),
    // Who complains at length.
    (
        "the laptop I bought is broken and the seller does not answer my messages what can I do now",
        Some(("returns-and-refunds", "The seller does not answer")),
    ),
    (
        "I bought a macbook last week from a guy and it turned out the battery is totally dead, he said it was fine and \
         now he is not replying, I am so angry, I want my money back",
        Some(("returns-and-refunds", "Getting your money back")),
    ),
    // Nothing fits.
    ("write me a poem about the sea", None),
    ("hola como puedo pagar", None),
    ("who won the world cup", None),
    ("how do airplanes fly", None),
    ("what is the meaning of life", None),
    ("how are you", None),
    ("'; DROP TABLE passages; --", None),
];

#[tokio::test]
async fn questions_find_the_passage_that_answers_them() {
    with_demo(async |both| {
        let mut wrong = vec![];
        for (question, expected) in QUESTIONS {
            let found = both.ask(async |store| store.search_articles(question, 5).await).await;
            let best = found.first();
            let best = best.map(|best| (best.article_id.as_str(), best.heading.as_deref().unwrap_or_default()));
            if best != *expected {
                wrong.push(format!("{question}: {best:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    })
    .await;
}

#[tokio::test]
async fn an_article_is_replaced_and_taken_away_with_all_its_passages() {
    on_both(async |both| {
        let has = async || both.ask(async |store| store.has_articles().await).await;
        let find = async |words: &str| both.ask(async |store| store.search_articles(words, 5).await).await;
        assert!(!has().await);
        let first = "# Parking\n\nBehind the library.\n\n## Permits\n\nAsk the registrar.";
        let article = both.ask(async |store| store.put_article("parking", first, at(0)).await).await;
        assert_eq!((article.title.as_str(), article.updated_at), ("Parking", at(0)));
        let permits = find("permits").await;
        assert_eq!(
            (permits.len(), permits[0].heading.as_deref(), permits[0].text.as_str()),
            (1, Some("Permits"), "Ask the registrar.")
        );
        let second = "---\ntitle: Cars\n---\nThe garage is in the north.";
        both.ask(async |store| store.put_article("parking", second, at(1)).await).await;
        assert!(find("permits").await.is_empty() && find("registar").await.is_empty());
        assert_eq!(find("grage").await[0].title, "Cars");
        let listed = both.ask(async |store| store.articles().await).await;
        assert_eq!(
            listed.iter().map(|article| (article.id.as_str(), article.updated_at)).collect::<Vec<_>>(),
            [("parking", at(1))]
        );
        let id = ArticleId::parse("parking").unwrap();
        both.ask(async |store| store.delete_article(&id).await).await;
        assert!(!has().await && find("garage").await.is_empty());
        for store in [&both.sqlite, &both.postgres] {
            assert!(matches!(store.delete_article(&id).await, Err(Error::NotFound("article"))));
            for (id, text) in [("a b", "text"), ("", "text"), ("a", ""), ("a", "# Title only"), ("a", "a\0b")] {
                assert!(matches!(store.put_article(id, text, at(0)).await, Err(Error::Invalid(_))), "{id}");
            }
        }
        assert!(!has().await);
    })
    .await;
}
