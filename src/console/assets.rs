//! Scripts and styles of the console, which are compiled in. Their paths contain a hash, so browsers keep
//! them until the next version.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::http::HttpProblem;

/// A file: its name, its type and its contents.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal: $content_type:literal = $path:literal,)+) => {
        &[$(Asset {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("assets/", $path)),
        }),+]
    };
}

static ASSETS: &[Asset] = assets! {
    "console.css": "text/css; charset=utf-8" = "console.css",
    "rules.css": "text/css; charset=utf-8" = "rules.css",
    "console.js": "text/javascript; charset=utf-8" = "console.js",
    "icon.svg": "image/svg+xml" = "icon.svg",
    "htmx.js": "text/javascript; charset=utf-8" = "vendor/htmx.min.js",
    "uplot.js": "text/javascript; charset=utf-8" = "vendor/uPlot.iife.min.js",
    "uplot.css": "text/css; charset=utf-8" = "vendor/uPlot.min.css",
    "change.css": "text/css; charset=utf-8" = "change.css",
    "change.js": "text/javascript; charset=utf-8" = "change.js",
    "grid.js": "text/javascript; charset=utf-8" = "grid.js",
    "codemirror.js": "text/javascript; charset=utf-8" = "vendor/codemirror.js",
    "codemirror.css": "text/css; charset=utf-8" = "vendor/codemirror.css",
    "codemirror-toml.js": "text/javascript; charset=utf-8" = "vendor/codemirror-toml.js",
    "codemirror-lint.js": "text/javascript; charset=utf-8" = "vendor/codemirror-lint.js",
    "codemirror-lint.css": "text/css; charset=utf-8" = "vendor/codemirror-lint.css",
    "codemirror-hint.js": "text/javascript; charset=utf-8" = "vendor/codemirror-hint.js",
    "codemirror-hint.css": "text/css; charset=utf-8" = "vendor/codemirror-hint.css",
};

/// The first digits of the hash of all files.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for asset in ASSETS {
        digest.update(asset.bytes);
    }
    hex::encode(&digest.finalize()[..6])
});

/// Returns the path of a file.
pub(super) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// Sends a file. The hash is not checked: a page of the version before still finds the file.
pub(super) async fn send(
    Path((_version, name)): Path<(String, String)>,
) -> Result<Response, HttpProblem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| HttpProblem::NotFound("no such file".to_owned()))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    Ok((headers, asset.bytes).into_response())
}
