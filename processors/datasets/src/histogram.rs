//! How long answers are, as an SVG picture.

use plotters::prelude::*;

use crate::Error;

/// Characters of a bin.
const BIN: usize = 100;

/// Bins; the last holds everything longer.
const BINS: usize = 20;

/// Answers by their length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Histogram([u32; BINS]);

impl Histogram {
    /// Counts an answer.
    pub(crate) fn add(&mut self, chars: usize) {
        self.0[(chars / BIN).min(BINS - 1)] += 1;
    }

    /// The picture. The same counts give the same bytes.
    pub(crate) fn svg(&self) -> Result<String, Error> {
        let mut picture = String::new();
        self.draw(&mut picture).map_err(|error| Error::Drawing(error.to_string()))?;
        if !picture.ends_with('\n') {
            picture.push('\n');
        }
        Ok(picture)
    }

    fn draw(&self, picture: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(picture, (720, 320)).into_drawing_area();
        root.fill(&WHITE)?;
        let highest = self.0.iter().copied().max().unwrap_or(0).max(1);
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(0..(BINS * BIN) as u32, 0..highest + highest.div_ceil(10))?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_desc("characters of an answer (the last bar: longer ones, too)")
            .y_desc("answers")
            .draw()?;
        let bars = self.0.iter().enumerate().map(|(bin, count)| {
            let (left, right) = ((bin * BIN) as u32, ((bin + 1) * BIN) as u32);
            Rectangle::new([(left, 0), (right, *count)], BLUE.mix(0.6).filled())
        });
        chart.draw_series(bars)?;
        root.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_answers_give_the_same_picture_and_others_another() {
        let mut lengths = Histogram::default();
        [50, 150, 199, 9_999].into_iter().for_each(|chars| lengths.add(chars));
        assert_eq!(lengths.0[0] + lengths.0[1] + lengths.0[BINS - 1], 4);
        let picture = lengths.svg().unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert_eq!(picture, lengths.svg().unwrap());
        lengths.add(500);
        assert_ne!(picture, lengths.svg().unwrap());
    }
}
