//! Rust source as the rules see it: lines split into code and comment, statements, `use` paths.

/// A line split into what the compiler sees (strings blanked) and what its comments say.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) code: String,
    pub(crate) comment: String,
    /// Whether the line ends inside parentheses that its innermost block opened.
    pub(crate) in_arguments: bool,
}

pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) first: String,
    pub(crate) lines: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Code,
    LineComment,
    BlockComment(u32),
    /// Inside a string literal that ends with a quote and this many `#`.
    Text {
        hashes: usize,
        raw: bool,
    },
}

/// Whether a string opens at the quote or `r` at `at`: the length of its opener and its mode.
fn string_opener(chars: &[char], at: usize) -> Option<(usize, Mode)> {
    if chars[at] == '"' {
        return Some((1, Mode::Text { hashes: 0, raw: false }));
    }
    let after_word = at > 0 && is_word(chars[at - 1]) && chars[at - 1] != 'b';
    if chars[at] != 'r' || after_word {
        return None;
    }
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let opens = chars.get(at + 1 + hashes) == Some(&'"');
    opens.then_some((hashes + 2, Mode::Text { hashes, raw: true }))
}

/// The length of the character literal at `at`, if it is one and not a lifetime.
fn char_literal(chars: &[char], at: usize) -> Option<usize> {
    match (chars.get(at + 1)?, chars.get(at + 2)?) {
        ('\\', _) => chars[at + 3..].iter().position(|c| *c == '\'').map(|p| p + 4),
        (_, '\'') => Some(3),
        _ => None,
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(crate) fn parse(path: &str, text: &str) -> Source {
    let chars: Vec<char> = text.chars().collect();
    let mut lines = vec![Line::default()];
    let (mut mode, mut at) = (Mode::Code, 0);
    while at < chars.len() {
        let (c, next) = (chars[at], chars.get(at + 1).copied());
        if c == '\n' {
            lines.push(Line::default());
            mode = if mode == Mode::LineComment { Mode::Code } else { mode };
            at += 1;
            continue;
        }
        let line = lines.last_mut().expect("starts with one line");
        at += match mode {
            Mode::LineComment => push(&mut line.comment, c, 1),
            Mode::BlockComment(depth) => match (c, next) {
                ('*', Some('/')) => {
                    mode = if depth == 1 { Mode::Code } else { Mode::BlockComment(depth - 1) };
                    2
                }
                ('/', Some('*')) => {
                    mode = Mode::BlockComment(depth + 1);
                    2
                }
                _ => push(&mut line.comment, c, 1),
            },
            Mode::Text { raw: false, .. } if c == '\\' && next != Some('\n') => 2,
            Mode::Text { hashes, .. } => {
                let end = chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
                if c == '"' && end {
                    mode = Mode::Code;
                    push(&mut line.code, '"', 1 + hashes)
                } else {
                    1
                }
            }
            Mode::Code => code_step(&chars, at, &mut mode, line),
        };
    }
    mark_arguments(&mut lines);
    let first = text.lines().next().unwrap_or("").to_owned();
    Source { path: path.to_owned(), first, lines }
}

fn push(text: &mut String, c: char, width: usize) -> usize {
    text.push(c);
    width
}

fn code_step(chars: &[char], at: usize, mode: &mut Mode, line: &mut Line) -> usize {
    match (chars[at], chars.get(at + 1)) {
        ('/', Some('/')) => {
            *mode = Mode::LineComment;
            2
        }
        ('/', Some('*')) => {
            *mode = Mode::BlockComment(1);
            2
        }
        ('\'', _) => push(&mut line.code, '\'', char_literal(chars, at).unwrap_or(1)),
        (c, _) => match string_opener(chars, at) {
            Some((width, text)) => {
                *mode = text;
                push(&mut line.code, '"', width)
            }
            None => push(&mut line.code, c, 1),
        },
    }
}

fn mark_arguments(lines: &mut [Line]) {
    let mut open = vec![0i32];
    for line in lines {
        for c in line.code.chars() {
            match c {
                '{' => open.push(0),
                '}' if open.len() > 1 => drop(open.pop()),
                '(' | '[' => *open.last_mut().expect("never empty") += 1,
                ')' | ']' => *open.last_mut().expect("never empty") -= 1,
                _ => {}
            }
        }
        line.in_arguments = *open.last().expect("never empty") > 0;
    }
}

/// Positions at which `word` stands in `code` as a whole word.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let bounded = |at: &usize| {
        let before = code[..*at].chars().next_back();
        let after = code[*at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    code.match_indices(word).map(|(at, _)| at).filter(bounded).collect()
}

impl Source {
    /// Whether the file holds unit tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The comment on line `at` and the one directly above the statement it belongs to.
    pub(crate) fn reason(&self, at: usize) -> String {
        let mut said = vec![self.lines[at].comment.clone()];
        let mut found = false;
        for line in self.lines[..at].iter().rev() {
            let code = line.code.trim();
            let comment_only = code.is_empty() && !line.comment.is_empty();
            let attribute = code.starts_with("#[");
            let same_statement = !found && !code.is_empty() && continues(code, line.in_arguments);
            if !(comment_only || attribute || same_statement) {
                break;
            }
            found |= comment_only;
            said.push(line.comment.clone());
        }
        let words = said.iter().rev().flat_map(|comment| comment.split_whitespace());
        words.collect::<Vec<_>>().join(" ")
    }

    /// The paths of every `use` in the file, brace lists flattened, with the line each starts on.
    pub(crate) fn uses(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.lines.len() {
            let code = self.lines[at].code.trim_start();
            let code = code.split_once("pub(crate) ").map_or(code, |(_, rest)| rest);
            let start = at;
            if let Some(rest) = code.trim_start_matches("pub ").strip_prefix("use ") {
                let mut tree = rest.to_owned();
                while !tree.contains(';') && at + 1 < self.lines.len() {
                    at += 1;
                    tree.push_str(self.lines[at].code.trim());
                }
                flatten("", tree.trim_end_matches(';'), start, &mut found);
            }
            at += 1;
        }
        found
    }
}

/// Whether a line of code leaves its statement open; a closure's first statement belongs to it too.
fn continues(code: &str, in_arguments: bool) -> bool {
    let block = code.ends_with('{') && !code.ends_with("| {");
    let closed = code.ends_with(';') || block || code.ends_with('}');
    !closed && (in_arguments || !code.ends_with(','))
}

fn flatten(prefix: &str, tree: &str, line: usize, found: &mut Vec<(usize, String)>) {
    let tree = tree.trim();
    let Some((head, list)) = tree.split_once('{') else {
        found.push((line, format!("{prefix}{tree}")));
        return;
    };
    let list = list.trim_end().strip_suffix('}').unwrap_or(list);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            flatten(&format!("{prefix}{}", head.trim()), &list[start..at], line, found);
            start = at + 1;
        }
    }
}
