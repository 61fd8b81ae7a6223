//! Amounts as people write them in tables.

/// Signs that may stand before or behind an amount.
const CURRENCIES: [char; 4] = ['$', '€', '£', '¥'];

/// Reads `25`, `25.5`, `$25.00`, `25 €` and `1,200.00`. What could mean two things, such as `1.200` or `25,00`, is
/// none: a price must not come out a hundred times as high.
pub(super) fn amount(text: &str) -> Option<f64> {
    let text = text.trim();
    let bare = text.strip_prefix(CURRENCIES).or_else(|| text.strip_suffix(CURRENCIES)).unwrap_or(text).trim();
    let (units, decimals) = bare.split_once('.').map_or((bare, None), |(units, decimals)| (units, Some(decimals)));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !decimals.is_none_or(|decimals| is_number(decimals) && decimals.len() <= 2) {
        return None;
    }
    let mut groups = units.split(',');
    let first = groups.next().filter(|first| is_number(first))?;
    let mut whole = first.to_owned();
    for group in groups {
        if first.len() > 3 || group.len() != 3 || !is_number(group) {
            return None;
        }
        whole.push_str(group);
    }
    format!("{whole}.{}", decimals.unwrap_or("0")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, expected) in [
            ("25", 25.0),
            ("25.5", 25.5),
            (" 25.00 ", 25.0),
            ("$25", 25.0),
            ("$ 1,200", 1200.0),
            ("1,234,567.89", 1_234_567.89),
            ("19.99 €", 19.99),
            ("0", 0.0),
        ] {
            assert_eq!(amount(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let bad = [
            "",
            "$",
            "free",
            "-5",
            "25,00",
            "1.200",
            "1.200,00",
            "12,34,567",
            "1234,567",
            "25.",
            ".5",
            "1e3",
            "NaN",
            "$$5",
            "5-10",
            "٢٥",
        ];
        for text in bad {
            assert_eq!(amount(text), None, "{text}");
        }
    }
}
