//! Text in the cells of spreadsheets.

use std::borrow::Cow;

/// Escapes a cell so that no spreadsheet takes it for a formula: such a cell gets an apostrophe in front
/// (OWASP, "CSV Injection"), as does one that begins with an apostrophe itself. Without its first
/// apostrophe, every such cell is exact.
pub fn spreadsheet_cell(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) { format!("'{cell}").into() } else { cell.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_every_one_can_be_told_exactly() {
        for cell in ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'x", "plain", "", "a=b"] {
            let written = spreadsheet_cell(cell);
            assert!(!written.starts_with(['=', '+', '-', '@', '\t', '\r']), "{written}");
            assert_eq!(written.strip_prefix('\'').unwrap_or(&written), cell);
        }
    }
}
