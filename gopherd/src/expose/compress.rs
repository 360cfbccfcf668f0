//! Compression of a whole body, at the lowest level: text this repetitive shrinks seven- to twelvefold
//! there. The compressors and the caller's buffers are reused from scrape to scrape.

use crate::expose::Encoding;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::io;

/// Level 1 of both: what more costs, a scraper in the same rack never gets back.
const LEVEL: u32 = 1;
/// Window of gzip, 32 KiB.
const WINDOW_BITS: u8 = 15;

/// Compressors that keep their working memory. Each is made at its first use.
#[derive(Default)]
pub struct Compressor {
    gzip: Option<Compress>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// Replaces the content of `out` by `body` in `encoding`. Fails only if a compressor cannot get memory.
    pub fn compress(&mut self, encoding: Encoding, body: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        match encoding {
            Encoding::Identity => out.extend_from_slice(body),
            Encoding::Gzip => self.gzip(body, out)?,
            Encoding::Zstd => self.zstd(body, out)?,
        }
        Ok(())
    }

    fn gzip(&mut self, body: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let gzip = self.gzip.get_or_insert_with(|| Compress::new_gzip(Compression::new(LEVEL), WINDOW_BITS));
        gzip.reset();
        let mut rest = body;
        loop {
            out.reserve((rest.len() / 4).max(256));
            let before = gzip.total_in();
            let status = gzip.compress_vec(rest, out, FlushCompress::Finish).map_err(io::Error::other)?;
            let taken = usize::try_from(gzip.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            if status == Status::StreamEnd {
                return Ok(());
            }
        }
    }

    fn zstd(&mut self, body: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            empty => empty.insert(zstd::bulk::Compressor::new(LEVEL.cast_signed())?),
        };
        out.reserve(zstd::zstd_safe::compress_bound(body.len()));
        zstd.compress_to_buffer(body, out)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn plain(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match encoding {
            Encoding::Identity => out.extend_from_slice(body),
            Encoding::Gzip => {
                flate2::read::GzDecoder::new(body).read_to_end(&mut out).expect("gzip");
            }
            Encoding::Zstd => out = zstd::stream::decode_all(body).expect("zstd"),
        }
        out
    }

    proptest! {
        #[test]
        fn a_reused_compressor_makes_bodies_that_unpack_to_the_original(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..4)
        ) {
            let (mut compressor, mut out) = (Compressor::default(), Vec::new());
            for body in &bodies {
                for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
                    compressor.compress(encoding, body, &mut out).expect("compressed");
                    prop_assert_eq!(&plain(encoding, &out), body);
                }
            }
        }
    }

    #[test]
    fn exposition_text_shrinks_at_least_fivefold() {
        let body: String = (0..2000)
            .map(|i| format!("gala_gopher_nic_rx{{dev=\"eth{i}\",machine_id=\"m\"}} {i}\n"))
            .collect();
        let mut out = Vec::new();
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            Compressor::default().compress(encoding, body.as_bytes(), &mut out).expect("compressed");
            assert!(out.len() * 5 < body.len(), "{encoding:?}: {} of {}", out.len(), body.len());
            assert_eq!(plain(encoding, &out), body.as_bytes());
        }
    }
}
