use super::*;

type Fields<'a> = std::iter::Copied<std::slice::Iter<'a, Field<'a>>>;

/// A pseudo-random stream that is the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % sides
    }

    fn path(&mut self, wide: usize) -> String {
        let mut path = String::new();
        for _ in 0..=self.roll(4) {
            path += &format!("/{}", self.roll(wide));
        }
        if self.roll(3) == 0 {
            path.push('/');
        }
        path
    }
}

fn condition(path: PathPlan, methods: &[&str], fields: &[(&str, FieldPlan)]) -> ConditionPlan {
    ConditionPlan {
        path,
        methods: methods.iter().map(ToString::to_string).collect(),
        fields: fields
            .iter()
            .map(|(name, field)| (name.to_string(), field.clone()))
            .collect(),
    }
}

fn asked<'a>(method: &'a str, path: &'a str, fields: &'a [Field<'a>]) -> Asked<'a, impl Fn() -> Fields<'a>> {
    let fields = move || fields.iter().copied();
    Asked { method, path, fields }
}

fn exact(path: &str) -> PathPlan {
    PathPlan::Exact(path.into())
}

fn prefix(path: &str) -> PathPlan {
    PathPlan::Prefix(path.into())
}

fn regex(pattern: &str) -> PathPlan {
    PathPlan::Regex(pattern.into())
}

#[test]
fn the_order_is_exact_then_longest_prefix_then_expression_then_the_rest() {
    let paths = [
        PathPlan::Any,
        regex("^/a"),
        regex("b$"),
        prefix("/a"),
        prefix("/a/"),
        prefix("/a/b/c"),
        exact("/a/b"),
        prefix("/x/y/z"),
    ];
    let router = Router::new(paths.into_iter().map(|path| condition(path, &[], &[])).zip(0..));
    let table = [
        ("/", 0),
        ("*", 0),
        ("/a", 3),
        ("/a/", 4),
        ("/a/b", 6),
        ("/a/b/", 4),
        ("/a/b/c", 5),
        ("/a/b/c/", 5),
        ("/a/b/cd", 4),
        ("/ab", 1),
        ("/xb", 2),
        ("/x/y", 0),
        ("/x/y/b", 2),
        ("/x/y/z", 7),
        ("//a//b", 6),
        ("/a//b/c///d", 5),
        ("//x/y//z", 7),
    ];
    for (path, expected) in table {
        assert_eq!(router.find(&asked("GET", path, &[])), Some(&expected), "{path}");
    }
}

#[test]
fn more_conditions_win_and_then_file_order() {
    let value = |value: &str| FieldPlan::Is(value.into());
    let routes = [
        condition(prefix("/"), &[], &[]),
        condition(prefix("/"), &["GET", "HEAD"], &[]),
        condition(prefix("/"), &[], &[("x-a", value("1"))]),
        condition(prefix("/"), &["GET"], &[("x-a", value("1"))]),
        condition(prefix("/"), &[], &[("x-a", value("1")), ("x-b", FieldPlan::Present)]),
        condition(
            prefix("/"),
            &["PUT"],
            &[("x-c", FieldPlan::Absent), ("x-b", value("y"))],
        ),
    ];
    let router = Router::new(routes.into_iter().zip(0..));
    let field = |name, value| Field { name, value };
    let (a, a2, b) = (field("X-A", b"1"), field("x-a", b"2"), field("X-B", b"y"));
    let table: &[(&str, &[Field<'_>], usize)] = &[
        ("PATCH", &[], 0),
        ("GET", &[], 1),
        ("PATCH", &[a], 2),
        ("PATCH", &[a2], 0),
        ("PATCH", &[a2, a], 2),
        ("GET", &[a], 3),
        ("GET", &[a, b], 3),
        ("PATCH", &[a, b], 4),
        ("PUT", &[a, b], 5),
        ("PUT", &[b], 5),
        ("PUT", &[b, field("x-c", b"")], 0),
        ("get", &[], 0),
    ];
    for (method, fields, expected) in table {
        let found = router.find(&asked(method, "/x", fields));
        assert_eq!(found, Some(expected), "{method} {fields:?}");
    }
}

#[test]
fn a_route_whose_conditions_fail_leaves_the_request_to_the_next_path() {
    let routes = [
        condition(exact("/a"), &["PUT"], &[]),
        condition(prefix("/a"), &["POST"], &[]),
        condition(regex("a"), &["PATCH"], &[]),
        condition(PathPlan::Any, &["GET", "HEAD"], &[("x", FieldPlan::Present)]),
    ];
    let router = Router::new(routes.into_iter().zip(0..));
    let x = [Field { name: "x", value: b"" }];
    for (method, expected) in [("PUT", 0), ("POST", 1), ("PATCH", 2), ("GET", 3)] {
        assert_eq!(router.find(&asked(method, "/a", &x)), Some(&expected));
    }
    assert_eq!(router.find(&asked("GET", "/a", &[])), None);
    assert_eq!(router.methods(&asked("DELETE", "/a", &[])), ["PATCH", "POST", "PUT"]);
    assert_eq!(
        router.methods(&asked("DELETE", "/a", &x)),
        ["GET", "HEAD", "PATCH", "POST", "PUT"]
    );
    assert_eq!(router.methods(&asked("DELETE", "/b", &[])), [""; 0]);
}

/// SPEC 4's order by looking at every route.
fn naive<'r>(
    routes: &'r [(ConditionPlan, usize)],
    method: &str,
    path: &str,
    fields: &[Field<'_>],
) -> Option<&'r usize> {
    let mut path = path.to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    let first_of = |pattern: &str| {
        routes
            .iter()
            .position(|(other, _)| other.path == PathPlan::Regex(pattern.into()))
    };
    let rank = |condition: &ConditionPlan| match &condition.path {
        PathPlan::Exact(own) => (*own == path).then_some((3, 0)),
        PathPlan::Prefix(own) => {
            let continues = path
                .strip_prefix(own.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || own.ends_with('/'));
            continues.then_some((2, own.len() as i64))
        }
        PathPlan::Regex(own) => {
            let is_found = own.strip_suffix('$').is_some_and(|end| path.ends_with(end));
            is_found.then(|| (1, -(first_of(own).map_or(0, |at| at as i64))))
        }
        PathPlan::Any => Some((0, 0)),
    };
    let fits = |condition: &ConditionPlan| {
        let method_fits = condition.methods.is_empty() || condition.methods.iter().any(|own| own == method);
        method_fits
            && condition.fields.iter().all(|(name, field)| {
                let lines: Vec<_> = fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name)).collect();
                match field {
                    FieldPlan::Present => !lines.is_empty(),
                    FieldPlan::Absent => lines.is_empty(),
                    FieldPlan::Is(value) => lines.iter().any(|f| f.value == value.as_bytes()),
                }
            })
    };
    let ranked = routes.iter().enumerate().filter_map(|(at, (condition, goes))| {
        let weight = usize::from(!condition.methods.is_empty()) + condition.fields.len();
        Some(((rank(condition)?, weight, Reverse(at)), condition, goes))
    });
    let fitting = ranked.filter(|(_, condition, _)| fits(condition));
    fitting.max_by_key(|(order, ..)| *order).map(|(_, _, goes)| goes)
}

#[test]
fn ten_thousand_routes_lead_where_looking_at_each_would() {
    let mut dice = Dice(5);
    let mut routes = Vec::new();
    for goes in 0..10_000 {
        let path = dice.path(12);
        let path = match dice.roll(400) {
            0 => PathPlan::Any,
            1..=4 => regex(&format!("{}$", &path[1..])),
            5..=150 => exact(&path),
            _ => prefix(&path),
        };
        let methods: &[&str] = [&[][..], &["GET", "HEAD"], &["POST"]][dice.roll(3)];
        let field = [FieldPlan::Present, FieldPlan::Absent, FieldPlan::Is("1".into())][dice.roll(3)].clone();
        let fields = [("x-a", field.clone()), ("x-b", field)];
        routes.push((condition(path, methods, &fields[..dice.roll(3)]), goes));
    }
    let router = Router::new(routes.iter().cloned());
    let mut found_by = [0; 4];
    for _ in 0..1500 {
        let (method, mut path) = (["GET", "POST", "PUT"][dice.roll(3)], dice.path(14));
        if dice.roll(5) == 0 {
            path = path.replacen('/', "//", 1 + dice.roll(2));
        }
        let fields = [
            Field {
                name: "X-A",
                value: [&b"1"[..], b"2"][dice.roll(2)],
            },
            Field {
                name: "x-b",
                value: b"1",
            },
        ];
        let fields = &fields[dice.roll(3)..];
        let expected = naive(&routes, method, &path, fields);
        assert_eq!(
            router.find(&asked(method, &path, fields)),
            expected,
            "{method} {path} {fields:?}"
        );
        found_by[expected.map_or(0, |goes| match routes[*goes].0.path {
            PathPlan::Any => 0,
            PathPlan::Exact(_) => 1,
            PathPlan::Prefix(_) => 2,
            PathPlan::Regex(_) => 3,
        })] += 1;
    }
    assert!(
        found_by.iter().all(|count| *count > 5),
        "every kind was met: {found_by:?}"
    );
}

#[test]
fn a_path_of_many_segments_costs_its_length() {
    let deep = "/a".repeat(8_000);
    let router = Router::new([
        (condition(prefix("/a"), &[], &[]), 0),
        (condition(prefix(&deep), &[], &[]), 1),
    ]);
    assert_eq!(router.find(&asked("GET", &deep, &[])), Some(&1));
    assert_eq!(router.find(&asked("GET", &deep[..deep.len() - 1], &[])), Some(&0));
}

#[test]
fn expressions_are_bounded_and_know_no_alphabet_but_ascii() {
    assert!(compiles(r"^/v\d+/[a-z]{1,20}$").is_ok());
    assert!(compiles(r"(?i)^/a.*\.php$").is_ok());
    for bad in ["(", "[", r"\p{Greek}", "a{10000}{10000}", "(?P<>a)", r"\1"] {
        let said = compiles(bad).map_err(|fault| fault.to_string());
        let said = said.expect_err(bad);
        assert!(
            said.starts_with("is no expression: ") || said.starts_with("takes more than"),
            "{said}"
        );
        assert!(!said.contains('\n'), "{said}");
    }
}
