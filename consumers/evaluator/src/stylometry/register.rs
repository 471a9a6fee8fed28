//! Prose and code, which are measured apart: one hand writes them by different habits.

/// Of the lines of a text without fences, code is what as many look like code.
const CODE_SHARE: f64 = 0.5;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// Sentences.
    Prose,
    /// A program, or a part of one.
    Code,
}

impl Register {
    /// What most of a text is: what stands in fences is code; without fences its lines tell.
    pub fn of(text: &str) -> Self {
        let fenced = fenced(text).len();
        let is_code = if fenced > 0 { 2 * fenced > text.len() } else { looks_like_code(text) };
        if is_code { Self::Code } else { Self::Prose }
    }

    /// The part of a text that is of this register. Of a text that has no fences it is all of it.
    pub fn part(self, text: &str) -> String {
        match self {
            Self::Prose => text.split("```").step_by(2).collect::<Vec<_>>().join("\n"),
            Self::Code => {
                let code = fenced(text);
                if code.is_empty() { text.to_owned() } else { code }
            }
        }
    }
}

/// What stands in fences, without the lines of the fences. A fence that nothing closes goes to the end.
fn fenced(text: &str) -> String {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').map_or("", |(_, code)| code)).collect()
}

fn looks_like_code(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let code = lines.iter().filter(|line| is_line_of_code(line)).count();
    !lines.is_empty() && code as f64 >= CODE_SHARE * lines.len() as f64
}

/// Whether a line ends as a statement or a block does, or is indented, or is a closing bracket. Prose ends in letters and full
/// stops; lists are indented by their marks.
fn is_line_of_code(line: &str) -> bool {
    let trimmed = line.trim();
    let is_list =
        trimmed.starts_with(['-', '*', '+', '>', '|', '#']) || trimmed.starts_with(|c: char| c.is_ascii_digit());
    let ends = trimmed.ends_with([';', '{', '}', '(', ')', '[', ']', ',']) || trimmed.contains(" = ");
    let is_comment = trimmed.starts_with("//") || trimmed.starts_with("/*");
    is_comment || (!is_list && (ends || line.starts_with("    ") || line.starts_with('\t')))
}

#[cfg(test)]
mod tests {
    use super::Register;

    #[test]
    fn what_stands_in_fences_is_code_and_the_rest_prose() {
        let mixed =
            "Run this, it takes a minute and tells you all that you want to know:\n\n```sh\nmake\n```\n\nThen wait.";
        assert_eq!(Register::of(mixed), Register::Prose);
        assert_eq!(Register::Code.part(mixed), "make\n");
        assert_eq!(Register::Prose.part(mixed).split_whitespace().last(), Some("wait."));
        assert!(!Register::Prose.part(mixed).contains("make"));
        assert_eq!(Register::of("So:\n```rust\nfn main() {\n    println!(\"hello\");\n}\n```"), Register::Code);
    }

    #[test]
    fn a_passage_of_a_source_file_is_code_without_fences() {
        let rust = "/// Adds.\npub fn add(a: u8, b: u8) -> u8 {\n    let sum = a + b;\n    sum\n}";
        let python = "def add(a, b):\n    total = a + b\n    return total\n";
        assert_eq!([rust, python].map(Register::of), [Register::Code; 2]);
        assert_eq!(Register::Code.part(python), python);
        for prose in
            [include_str!("writers/austen.txt"), include_str!("writers/workshop.txt"), "- one\n- two\n- three", ""]
        {
            assert_eq!(Register::of(prose), Register::Prose);
        }
    }
}
