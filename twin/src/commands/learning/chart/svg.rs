//! Curves as an SVG picture that stands alone.

use std::fmt::Write;

use super::super::number;
use super::{Frame, Series};

/// The whole picture, user units.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
/// What is left around the curves for labels.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;
/// Grid lines.
const TICKS: u32 = 5;
/// Told apart by people who see no red or no green too (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// The curves in one picture. `None`: there is nothing to draw.
pub fn svg(title: &str, series: &[Series]) -> Option<String> {
    let frame = Frame::of(series)?;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">{title}</text>\n",
        title = escaped(title)
    );
    grid(&mut picture, &frame);
    for (at, curve) in series.iter().filter(|curve| !curve.points.is_empty()).enumerate() {
        draw(&mut picture, curve, COLOURS[at % COLOURS.len()], at, &frame);
    }
    picture.push_str("</svg>\n");
    Some(picture)
}

fn x(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

// Writing to a string does not fail.
fn grid(picture: &mut String, frame: &Frame) {
    for tick in 0..=TICKS {
        let share = f64::from(tick) / f64::from(TICKS);
        let height = y(share);
        let _ = writeln!(
            picture,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{height:.1}\" y2=\"{height:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            x(1.0),
            LEFT - 6.0,
            height + 4.0,
            number(frame.value_at(share))
        );
    }
    for (step, anchor) in [(frame.first, "start"), (frame.last, "end")] {
        let (across, height) = (x(frame.across(step)), HEIGHT - BOTTOM + 18.0);
        let _ = writeln!(picture, "<text x=\"{across:.1}\" y=\"{height:.1}\" text-anchor=\"{anchor}\">{step}</text>");
    }
    let _ = writeln!(picture, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">step</text>", x(0.5), HEIGHT - 8.0);
}

fn draw(picture: &mut String, curve: &Series, colour: &str, at: usize, frame: &Frame) {
    let place = |(step, value): &(u64, f64)| format!("{:.1},{:.1}", x(frame.across(*step)), y(frame.up(*value)));
    let places: Vec<String> = curve.points.iter().map(place).collect();
    let _ = writeln!(
        picture,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
        places.join(" ")
    );
    if let [(step, value)] = curve.points.as_slice() {
        let (across, height) = (x(frame.across(*step)), y(frame.up(*value)));
        let _ = writeln!(picture, "<circle cx=\"{across:.1}\" cy=\"{height:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
    let height = TOP + 14.0 + 16.0 * at as f64;
    let _ = writeln!(
        picture,
        "<text x=\"{:.1}\" y=\"{height:.1}\" text-anchor=\"end\" fill=\"{colour}\">{}</text>",
        x(1.0) - 4.0,
        escaped(&curve.label)
    );
}

/// Text in an XML document. Control characters, which XML has no way to write, are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_line_for_each_run_and_is_the_same_each_time() {
        let series =
            |label: &str, points: &[(u64, f64)]| Series { label: label.to_owned(), mark: 'a', points: points.to_vec() };
        let both = [series("a<b>", &[(0, 2.0), (10, 1.0)]), series("c", &[(0, 2.0), (5, 1.5)])];
        let picture = svg("loss & more", &both).unwrap();
        assert_eq!(picture.matches("<polyline").count(), 2);
        assert!(picture.contains("points=\"70.0,40.0 740.0,360.0\""), "{picture}");
        assert!(picture.contains("loss &amp; more") && picture.contains("a&lt;b&gt;"), "{picture}");
        assert_eq!(svg("loss & more", &both).unwrap(), picture);
        assert_eq!(svg("nothing", &[]), None);
    }
}
