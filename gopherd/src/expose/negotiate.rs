//! What to answer to `Accept` and `Accept-Encoding`, as pure functions. No metric name depends on either.

use crate::expose::{Encoding, Format};

/// Header values longer than this are treated as absent: no client needs more.
const LONGEST: usize = 4096;

/// One element of a list header.
struct Wish<'a> {
    what: &'a str,
    params: std::str::Split<'a, char>,
    quality: f32,
}

/// The elements of a list header with their quality; elements with a quality that is no number count as 0.
fn wishes(header: &str) -> impl Iterator<Item = Wish<'_>> {
    let header = if header.len() > LONGEST { "" } else { header };
    header.split(',').filter_map(|element| {
        let mut params = element.split(';');
        let what = params.next()?.trim();
        let quality =
            params.clone().find_map(|param| value(param, "q")).map_or(Some(1.0), |q| q.parse().ok());
        let quality = quality.filter(|q: &f32| (0.0..=1.0).contains(q)).unwrap_or(0.0);
        (!what.is_empty()).then_some(Wish { what, params, quality })
    })
}

fn value<'a>(param: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = param.split_once('=')?;
    key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
}

/// The exposition format for an `Accept` header. OpenMetrics only for a client that names it in version
/// 1.0.0 (or in no version) and wants it at least as much as text; everybody else gets text.
pub fn format(accept: Option<&str>) -> Format {
    let (mut open, mut text) = (0.0f32, 0.0f32);
    for wish in wishes(accept.unwrap_or_default()) {
        if wish.what.eq_ignore_ascii_case("application/openmetrics-text") {
            let version = wish.params.clone().find_map(|param| value(param, "version"));
            if version.is_none_or(|version| version == "1.0.0") {
                open = open.max(wish.quality);
            }
        } else if wish.what.eq_ignore_ascii_case("text/plain") {
            text = text.max(wish.quality);
        }
    }
    if open > 0.0 && open >= text { Format::OpenMetrics } else { Format::Text }
}

/// The encoding for an `Accept-Encoding` header: the wanted one of highest quality; of equals zstd, which is
/// the cheapest, then gzip. A client that refuses everything gets the plain body.
pub fn encoding(accept_encoding: Option<&str>) -> Encoding {
    let (mut gzip, mut zstd, mut identity, mut any) = (None, None, None, None);
    for wish in wishes(accept_encoding.unwrap_or_default()) {
        let slot = match wish.what {
            what if what.eq_ignore_ascii_case("gzip") || what.eq_ignore_ascii_case("x-gzip") => &mut gzip,
            what if what.eq_ignore_ascii_case("zstd") => &mut zstd,
            what if what.eq_ignore_ascii_case("identity") => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        *slot = Some(wish.quality);
    }
    let any = any.unwrap_or(0.0);
    let (gzip, zstd) = (gzip.unwrap_or(any), zstd.unwrap_or(any));
    // Who does not name `identity` takes it, but likes what was named better.
    let identity = identity.unwrap_or(f32::MIN_POSITIVE);
    if zstd > 0.0 && zstd >= gzip && zstd >= identity {
        Encoding::Zstd
    } else if gzip > 0.0 && gzip >= identity {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn openmetrics_is_for_clients_that_name_it_and_prefer_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html, */*;q=0.1"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics),
            (Some("Application/OpenMetrics-Text"), Format::OpenMetrics),
            (Some("application/openmetrics-text;version=0.0.1"), Format::Text),
            (Some("application/openmetrics-text;q=0.2,text/plain;q=0.9"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some("application/openmetrics-text;q=loud"), Format::Text),
        ] {
            assert_eq!(format(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_encoding_is_the_wanted_one_and_the_cheaper_of_equals() {
        for (accept, expected) in [
            (None, Encoding::Identity),
            (Some("gzip"), Encoding::Gzip),
            (Some("zstd"), Encoding::Zstd),
            (Some("gzip, deflate, br, zstd"), Encoding::Zstd),
            (Some("zstd;q=0.5, gzip;q=0.8"), Encoding::Gzip),
            (Some("gzip;q=0"), Encoding::Identity),
            (Some("*"), Encoding::Zstd),
            (Some("*;q=0.5, zstd;q=0"), Encoding::Gzip),
            (Some("identity;q=1, gzip;q=0.5"), Encoding::Identity),
            (Some("identity;q=0, *;q=0"), Encoding::Identity),
            (Some("deflate, br"), Encoding::Identity),
            (Some("gzip;q=7"), Encoding::Identity),
        ] {
            assert_eq!(encoding(accept), expected, "{accept:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(header in ".*") {
            let _ = (format(Some(&header)), encoding(Some(&header)));
        }
    }
}
