// SPDX-License-Identifier: MIT
//! Prints the faces of a video file, from Rust. usage: read_faces FILE [GALLERY]
//!
//! There are no bindings of ours: this reads the mirror, GstVideoRegionOfInterestMeta.
use gst::prelude::*;

fn print_face(pts: Option<gst::ClockTime>, roi: &gst_video::VideoRegionOfInterestMeta) {
    let (x, y, width, height) = roi.rect();
    // Without spherematch there is no "match"; a face that is not known has no label in it.
    let decision = roi.params().find(|param| param.name() == "match");
    let name = decision.as_ref().and_then(|decision| {
        decision
            .get::<&str>("label")
            .or_else(|_| decision.get::<&str>("state"))
            .ok()
    });
    println!(
        "{} {x},{y} {width}x{height} {}",
        pts.map_or("-".into(), |pts| pts.to_string()),
        name.unwrap_or("")
    );
}

fn print_faces(buffer: &gst::BufferRef) {
    for roi in buffer.iter_meta::<gst_video::VideoRegionOfInterestMeta>() {
        if roi.roi_type() == "face" {
            print_face(buffer.pts(), &roi);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gst::init()?;
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() < 2 {
        return Err("usage: read_faces FILE [GALLERY]".into());
    }
    let gallery = arguments.get(2);
    let road = match gallery {
        Some(_) => "spheredetect ! spherealign ! sphereembed ! spherematch name=match",
        None => "spheredetect",
    };
    let pipeline = gst::parse::launch(&format!(
        "filesrc name=source ! decodebin ! {road} ! fakesink name=end"
    ))?
    .downcast::<gst::Pipeline>()
    .map_err(|_| "not a pipeline")?;
    let element = |name: &str| pipeline.by_name(name).ok_or(format!("no element {name}"));
    element("source")?.set_property("location", &arguments[1]);
    if let Some(gallery) = gallery {
        element("match")?.set_property("gallery", gallery);
    }
    let pad = element("end")?.static_pad("sink").ok_or("no sink pad")?;
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        if let Some(buffer) = info.buffer() {
            print_faces(buffer);
        }
        gst::PadProbeReturn::Ok
    });

    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().ok_or("no bus")?;
    let end = bus.timed_pop_filtered(
        gst::ClockTime::NONE,
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null)?;
    match end.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => Err(error.error().to_string().into()),
        _ => Ok(()),
    }
}
