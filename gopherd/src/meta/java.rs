//! The main class in a Java command line. Pure. A Java command line is mostly class path; what tells two
//! services apart is the class or the jar that they run.

/// Options of the `java` launcher whose value is an argument of its own (JDK 8 to 25).
const WITH_VALUE: [&[u8]; 17] = [
    b"-cp",
    b"-classpath",
    b"--class-path",
    b"-p",
    b"--module-path",
    b"--upgrade-module-path",
    b"--add-modules",
    b"--limit-modules",
    b"--add-reads",
    b"--add-exports",
    b"--add-opens",
    b"--patch-module",
    b"--enable-native-access",
    b"--illegal-native-access",
    b"--source",
    b"-d",
    b"--describe-module",
];

/// Whether the arguments are those of a Java launcher.
pub(super) fn is_java(arguments: &[u8]) -> bool {
    let program = arguments.split(|b| *b == 0).next().unwrap_or_default();
    program.rsplit(|b| *b == b'/').next() == Some(b"java")
}

/// The main class, or the jar of `-jar`, or the module of `-m`, as it is given; `None` if there is none in
/// `arguments`, which may be cut off.
pub(super) fn main_class(arguments: &[u8]) -> Option<&[u8]> {
    let mut rest = arguments.split(|b| *b == 0).skip(1);
    loop {
        let argument = rest.next()?;
        if WITH_VALUE.contains(&argument) {
            rest.next()?;
        } else if let Some(module) = argument.strip_prefix(b"--module=") {
            return Some(module);
        } else if !matches!(argument.first(), None | Some(b'-' | b'@')) {
            // After -jar and -m, too, options may follow before the name.
            return Some(argument);
        }
    }
}

/// What holds of any arguments: a main class is one of them.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    if let Some(class) = main_class(bytes).filter(|_| is_java(bytes)) {
        assert!(
            !class.contains(&0)
                && bytes.windows(class.len().max(1)).any(|window| class.is_empty() || window == class)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_class_is_what_follows_the_options() {
        for (line, expected) in [
            ("java Main", Some("Main")),
            (
                "/usr/lib/jvm/bin/java -Xmx1g -Dx=y -cp a.jar:b.jar com.example.Main arg",
                Some("com.example.Main"),
            ),
            ("java -jar /opt/app.jar --port 1", Some("/opt/app.jar")),
            ("java -jar -Xmx1g app.jar", Some("app.jar")),
            (
                "java --add-opens java.base/java.lang=ALL-UNNAMED -classpath x kafka.Kafka s.properties",
                Some("kafka.Kafka"),
            ),
            ("java --add-opens=java.base/java.lang=ALL-UNNAMED Main", Some("Main")),
            ("java -p mods -m com.app/com.app.Main x", Some("com.app/com.app.Main")),
            ("java --module=com.app x", Some("com.app")),
            ("java @options -ea Main", Some("Main")),
            ("java --source 21 Hello.java", Some("Hello.java")),
            ("java -version", None),
            ("java -cp", None),
            ("java", None),
            ("", None),
        ] {
            let arguments = line.replace(' ', "\0");
            let found = main_class(arguments.as_bytes()).map(String::from_utf8_lossy);
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_launcher_is_known_by_its_name() {
        for (line, expected) in [
            ("java", true),
            ("/opt/jdk/bin/java\0-x", true),
            ("javac\0x", false),
            ("sh\0java", false),
            ("", false),
        ] {
            assert_eq!(is_java(line.as_bytes()), expected, "{line:?}");
        }
    }
}
