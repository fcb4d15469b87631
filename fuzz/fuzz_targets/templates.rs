//! Runs [`switchboard_fuzz::templates`] on the inputs of libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switchboard_fuzz::templates::run(input));
