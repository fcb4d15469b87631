//! Runs [`switchboard_fuzz::call_ids`] on the inputs of libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switchboard_fuzz::call_ids::run(input));
