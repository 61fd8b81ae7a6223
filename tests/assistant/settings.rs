//! What an operator may set.

use std::time::Duration;

use switchboard::assistant::{Assistant, Endpoint, Provider, persona, personas};

use crate::{assistant, settings};

#[test]
fn the_provider_follows_what_is_set() {
    let mut given = settings(" ");
    assert_eq!(assistant(&given).provider(), "offline");
    given.primary.api_key = Some("sk-test".to_owned());
    assert_eq!(assistant(&given).provider(), "openai");
    given.provider = Provider::Offline;
    assert_eq!(assistant(&given).provider(), "offline");
    given.provider = Provider::OpenAi;
    given.primary.model = String::new();
    assert_eq!(assistant(&given).model(), "gpt-4o-mini");
}

#[test]
fn settings_that_cannot_work_are_refused_with_the_variable_to_change() {
    let refused = |change: fn(&mut switchboard::assistant::Settings)| {
        let mut given = settings("http://localhost:1/v1");
        change(&mut given);
        let line = Assistant::from_settings(&given).err().expect("it is refused");
        assert!(!line.contains('\n') && !line.contains("hidden"), "{line}");
        line
    };
    let line = refused(|given| {
        given.provider = Provider::OpenAi;
        given.primary = Endpoint::default();
    });
    assert!(line.contains("OPENAI_API_KEY") && line.contains("OPENAI_BASE_URL"));
    for address in ["localhost:8080", "ftp://hidden", "/v1"] {
        let mut given = settings(address);
        assert!(Assistant::from_settings(&given).is_err_and(|line| line.starts_with("OPENAI_BASE_URL")));
        given = settings("http://localhost/v1");
        given.fallback = Some(crate::endpoint(address));
        assert!(Assistant::from_settings(&given).is_err_and(|line| line.starts_with("AI_FALLBACK_BASE_URL")));
    }
    let line = refused(|given| given.primary.api_key = Some("sk-\nhidden".to_owned()));
    assert!(line.starts_with("OPENAI_API_KEY"));
    assert!(refused(|given| given.max_output_tokens = 0).contains("AI_MAX_OUTPUT_TOKENS"));
    assert!(refused(|given| given.total_timeout = Duration::ZERO).contains("AI_TIMEOUT"));
}

#[test]
fn an_unknown_persona_is_the_default_one() {
    assert_eq!(persona("nobody").id, "default");
    let ids: Vec<_> = personas().iter().map(|persona| persona.id).collect();
    assert_eq!(ids, ["default", "therapist", "tutor"]);
}
