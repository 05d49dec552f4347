//! Aligned columns for people.

/// Lines of cells, the first of them the headings, as text with two spaces between columns; cells that
/// are numbers stand to the right.
pub fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    lines.iter().map(|line| aligned_line(line, &widths)).collect()
}

fn aligned_line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let padded = match is_number(cell) {
            true => format!("{cell:>width$}  "),
            false => format!("{cell:<width$}  "),
        };
        text.push_str(&padded);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Digits, and the commas between thousands.
fn is_number(cell: &str) -> bool {
    cell.starts_with(|first: char| first.is_ascii_digit())
        && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() {
        let line = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = aligned(&[
            line(["group", "bytes", "note"]),
            line(["X25519", "32", ""]),
            line(["MLKEM768", "1,184", "only when listed"]),
        ]);
        let expected = "\
group     bytes  note
X25519       32
MLKEM768  1,184  only when listed
";
        assert_eq!(text, expected);
    }
}
