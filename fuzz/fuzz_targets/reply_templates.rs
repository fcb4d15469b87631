//! Runs [`switchboard_fuzz::reply_templates`] on the inputs of libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switchboard_fuzz::reply_templates::run(input));
