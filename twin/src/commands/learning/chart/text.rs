//! Curves drawn with characters.

use super::super::number;
use super::{Frame, Series};

/// Columns of the drawing, without the labels.
const WIDTH: usize = 60;
/// Lines of the drawing, without the axis.
const HEIGHT: usize = 12;
/// Columns of the labels at the left.
const LABEL: usize = 10;
/// Where curves of several series meet.
const MEETING: char = '*';

/// The curves in one drawing, with a legend. `None`: there is nothing to draw.
pub fn text(series: &[Series]) -> Option<String> {
    let frame = Frame::of(series)?;
    let mut grid = vec![vec![' '; WIDTH]; HEIGHT];
    for curve in series {
        for (column, value) in columns(curve, &frame).into_iter().enumerate() {
            let Some(value) = value else { continue };
            // From 0 to HEIGHT - 1.
            let line = ((1.0 - frame.up(value)) * (HEIGHT - 1) as f64).round() as usize;
            let cell = &mut grid[line][column];
            *cell = if *cell == ' ' || *cell == curve.mark { curve.mark } else { MEETING };
        }
    }
    let mut lines: Vec<String> = grid.iter().enumerate().map(|(at, row)| line(at, row, &frame)).collect();
    lines.push(format!("{:LABEL$} +{}", "", "-".repeat(WIDTH)));
    let (first, last) = (frame.first.to_string(), frame.last.to_string());
    lines.push(format!("{:LABEL$}  {first}{last:>width$}", "", width = WIDTH.saturating_sub(first.len())));
    let shown = series.iter().filter(|curve| !curve.points.is_empty());
    let mut legend: Vec<String> = shown.map(|curve| format!("{} {}", curve.mark, curve.label)).collect();
    if legend.len() > 1 {
        legend.push(format!("{MEETING} both"));
    }
    lines.push(format!("{:LABEL$}  {}", "", legend.join("   ")));
    Some(lines.join("\n"))
}

/// A line with its label, if it has one.
fn line(at: usize, row: &[char], frame: &Frame) -> String {
    let share = 1.0 - at as f64 / (HEIGHT - 1) as f64;
    let has_label = at == 0 || at == HEIGHT / 2 || at == HEIGHT - 1;
    let label = if has_label { number(frame.value_at(share)) } else { String::new() };
    let row: String = row.iter().collect();
    format!("{label:>LABEL$} |{}", row.trim_end())
}

/// The mean of the values of each column; between two that have some, the line from one to the other.
fn columns(curve: &Series, frame: &Frame) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); WIDTH];
    for (step, value) in &curve.points {
        // From 0 to WIDTH - 1.
        let column = (frame.across(*step) * (WIDTH - 1) as f64).round() as usize;
        sums[column].0 += value;
        sums[column].1 += 1;
    }
    let mut values: Vec<Option<f64>> =
        sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))).collect();
    let known: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(column, value)| Some((column, (*value)?))).collect();
    for pair in known.windows(2) {
        let [(from, low), (to, high)] = *pair else { continue };
        for (column, value) in values.iter_mut().enumerate().take(to).skip(from + 1) {
            let share = (column - from) as f64 / (to - from) as f64;
            *value = Some(low + (high - low) * share);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(mark: char, points: &[(u64, f64)]) -> Series {
        Series { label: format!("run {mark}"), mark, points: points.to_vec() }
    }

    #[test]
    fn a_falling_loss_falls_from_the_upper_left_to_the_lower_right() {
        let drawn = text(&[series('a', &[(0, 3.0), (50, 2.0), (100, 1.0)])]).unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[0].trim_end(), "     3.000 |aaa");
        assert!(lines[HEIGHT - 1].starts_with("     1.000 |") && lines[HEIGHT - 1].ends_with("aaa"), "{drawn}");
        assert_eq!(lines[HEIGHT + 1].trim(), format!("0{:>59}", 100));
        assert_eq!(lines[HEIGHT + 2].trim(), "a run a");
    }

    #[test]
    fn two_curves_are_told_apart_and_marked_where_they_meet() {
        let drawn = text(&[series('a', &[(1, 2.0), (9, 1.0)]), series('b', &[(1, 2.0), (9, 1.5)])]).unwrap();
        assert!(drawn.lines().next().unwrap().contains('*'), "{drawn}");
        assert!(drawn.lines().nth(HEIGHT - 1).unwrap().ends_with('a'), "{drawn}");
        assert!(drawn.ends_with("a run a   b run b   * both"), "{drawn}");
    }

    #[test]
    fn one_point_a_flat_curve_and_none_at_all_are_drawn_too() {
        assert!(text(&[series('a', &[(5, 0.0)])]).unwrap().contains('a'));
        let flat = text(&[series('a', &[(1, 2.0), (2, 2.0)])]).unwrap();
        assert_eq!(flat.lines().filter(|line| line.contains("aaa")).count(), 1, "{flat}");
        assert_eq!(text(&[series('a', &[])]), None);
    }
}
