// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use proptest::prelude::*;

fn written(text: &str) -> String {
    print(&parse(text).unwrap())
}

fn kind(text: &str) -> String {
    parse(text).unwrap().value_signature().to_string()
}

/// Read and written by GLib 2.74, whose own words these are.
#[test]
fn r312_text_is_that_of_glib() {
    for (text, expected) in [
        ("'x'", "'x'"),
        ("5", "5"),
        ("uint32 5", "5"),
        ("<uint32 5>", "<uint32 5>"),
        ("byte 7", "0x07"),
        ("b'abc'", "b'abc'"),
        ("b\"it's\"", "b\"it's\""),
        ("b'\\\"'", "b'\\\"'"),
        ("[1,2]", "[1, 2]"),
        ("{'a': <1>, 'b': <'y'>}", "{'a': <1>, 'b': <'y'>}"),
        ("@a{sv} {}", "{}"),
        ("<@a{sv} {}>", "<@a{sv} {}>"),
        ("(1,)", "(1,)"),
        ("( 1 , 'a' )", "(1, 'a')"),
        ("[byte 1, 2]", "[0x01, 0x02]"),
        ("0.1", "0.10000000000000001"),
        ("1e300", "1.0000000000000001e+300"),
        ("inf", "inf"),
        ("objectpath '/x'", "'/x'"),
        ("signature 'as'", "'as'"),
        ("signature ''", "''"),
        ("(b'/a\\000', uint64 3)", "(b'/a', 3)"),
        ("'it\\'s \"q\" \\u00e9 \\n \\u200b'", "\"it's \\\"q\\\" é \\n \\u200b\""),
        ("true", "true"),
        ("-5", "-5"),
        ("010", "8"),
        ("0x10", "16"),
        ("<<byte 1>>", "<<byte 0x01>>"),
        ("[<1>,<'x'>]", "[<1>, <'x'>]"),
        ("<[int16 1, 2]>", "<[int16 1, 2]>"),
        ("@ay [1,2,0]", "b'\\001\\002'"),
        ("[[1],[]]", "[[1], []]"),
        ("[1, 2.5]", "[1.0, 2.5]"),
        ("'\\U0001f600'", "'\u{1f600}'"),
    ] {
        assert_eq!(written(text), expected, "{text}");
    }
}

#[test]
fn r314_types_are_what_glib_takes_them_for() {
    for (text, expected) in [
        ("5", "i"),
        ("'x'", "s"),
        ("[1, int64 2]", "ax"),
        ("[objectpath '/a', '/b']", "ao"),
        ("{1: 'a', byte 2: 'b'}", "{ys}"),
        ("[{}, {'a': 1}]", "aa{si}"),
        ("[[], {'a': 1}]", "aa{si}"),
        ("@a{sv} []", "a{sv}"),
        ("(1, [(2, true)])", "(ia(ib))"),
        ("[(1, 'a'), (byte 2, 'b')]", "a(ys)"),
        ("<1>", "v"),
        ("@d 5", "d"),
        ("@(yt) (1, 2)", "(yt)"),
        ("b''", "ay"),
    ] {
        let expected = expected.replace("{ys}", "a{ys}");
        assert_eq!(kind(text), expected, "{text}");
    }
}

#[test]
fn r314_what_is_no_value_is_refused() {
    for text in [
        "",
        " ",
        "nope",
        "[]",
        "{}",
        "[[]]",
        "[1, 'a']",
        "1 2",
        "()",
        "(1)",
        "(1,2,)",
        "[1,]",
        "{1,2}",
        "{'a'}",
        "{[1]: 2}",
        "{<1>: 2}",
        "'x",
        "b'x",
        "'\\u00'",
        "'\\ud800'",
        "'\\u0000'",
        "just 1",
        "nothing",
        "handle 1",
        "@h 1",
        "@mi 1",
        "@ii 1",
        "@i 'x'",
        "@() ()",
        "@a{vs} {}",
        "@ 1",
        "@a 1",
        "@y 256",
        "byte -1",
        "99999999999",
        "18446744073709551616",
        "09",
        "0x",
        "--1",
        "1x",
        "1e400",
        "objectpath 'x'",
        "signature '!'",
        "signature 'ii'",
        "<1",
        "boolean 1",
        "\u{a0}1",
        "@(i 1",
        "[@ai [], @as []]",
    ] {
        assert!(parse(text).is_err(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn what_is_deep_or_wide_is_refused() {
    let nested = |count: usize| "<".repeat(count) + "1" + &">".repeat(count);
    assert!(parse(&nested(63)).is_ok());
    assert!(parse(&nested(64)).is_err());
    assert!(matches!(parse(&nested(65)), Err(TextFormError::Deep { at: 65 })));
    assert!(parse(&"[".repeat(1_000_000)).is_err());
    // As many lists as a message may have in one another, whether there is anything in them.
    let lists = |count: usize| format!("@{}y []", "a".repeat(count));
    assert!(parse(&lists(32)).is_ok());
    assert!(parse(&lists(33)).is_err());
    let lists = |count: usize| "[".repeat(count) + "1" + &"]".repeat(count);
    assert!(parse(&lists(32)).is_ok());
    assert!(parse(&lists(33)).is_err());
    let wide = |count: usize| format!("({})", vec!["1"; count].join(","));
    assert!(parse(&wide(253)).is_ok());
    assert!(parse(&wide(254)).is_err());
}

#[test]
fn errors_say_where() {
    for (text, said) in [
        ("1 2", "at character 2: the end is missing"),
        ("[1 2]", "at character 3: ',' or ']' is missing"),
        (
            "[nope]",
            "at character 1: no value begins like that; texts stand between quotation marks",
        ),
        ("@y 256", "256 is no value of the type 'y'"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), said);
    }
}

/// Values of every type that a message has, but descriptors.
fn values() -> impl Strategy<Value = Variant<'static>> {
    let leaves = prop_oneof![
        any::<u8>().prop_map(Variant::U8),
        any::<bool>().prop_map(Variant::Bool),
        any::<i16>().prop_map(Variant::I16),
        any::<u16>().prop_map(Variant::U16),
        any::<i32>().prop_map(Variant::I32),
        any::<u32>().prop_map(Variant::U32),
        any::<i64>().prop_map(Variant::I64),
        any::<u64>().prop_map(Variant::U64),
        any::<f64>().prop_map(Variant::F64),
        "[^\0]*".prop_map(Variant::from),
        "(/[a-zA-Z0-9_]{1,9}){1,3}".prop_map(|path| ObjectPath::try_from(path).unwrap().into()),
        "a{0,3}[ybnqiuxtdsogv]".prop_map(|text| {
            Variant::Signature(Signature::from_bytes(text.as_bytes()).unwrap())
        }),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Variant::from),
        proptest::collection::vec(1_u8.., 0..20).prop_map(|mut bytes| {
            bytes.push(0);
            Variant::from(bytes)
        }),
    ];
    leaves.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            inner.clone().prop_map(|value| Variant::Variant(Box::new(value))),
            // Copies, so that they are of one type.
            (inner.clone(), 0..4_usize).prop_map(|(value, count)| {
                let mut array = Array::new(value.value_signature());
                for _ in 0..count {
                    array.append(value.try_clone().unwrap()).unwrap();
                }
                Variant::Array(array)
            }),
            (proptest::collection::btree_set("[^\0]{0,4}", 0..4), inner.clone()).prop_map(
                |(keys, value)| {
                    let key = Signature::Str;
                    let mut dictionary = Dict::new(&key, value.value_signature());
                    for key in keys {
                        dictionary.append(key.into(), value.try_clone().unwrap()).unwrap();
                    }
                    Variant::Dict(dictionary)
                }
            ),
            proptest::collection::vec(inner, 1..4).prop_map(|values| {
                let mut structure = Structure::builder();
                values.into_iter().for_each(|value| structure.push_value(value));
                Variant::Structure(structure.build().unwrap())
            }),
        ]
    })
}

proptest! {
    /// In a variant the types are there, so nothing is lost.
    #[test]
    fn r312_what_is_written_is_read_again(value in values()) {
        let value = Variant::Variant(Box::new(value));
        let text = print(&value);
        let read = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(print(&read), text);
        // Of two that are not a number none is the other.
        if !print(&value).contains("nan") {
            prop_assert_eq!(&*read, &value);
        }
    }

    #[test]
    fn whatever_is_written_is_answered(text in "[\\[\\](){}<>@'\"\\\\,:a-z0-9 .+-]{0,40}") {
        if let Ok(value) = parse(&text) {
            let text = print(&Variant::Variant(Box::new(value.into())));
            prop_assert!(parse(&text).is_ok(), "{}", text);
        }
    }
}
