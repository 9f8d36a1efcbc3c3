//! Checksums by reading. In: an open file. Out: its size and adler32, and, where asked, a copy made
//! on the way.

use adler32::Adler32;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Large enough that system calls cost nothing beside the sum, small enough for a cache.
const CHUNK_BYTES: usize = 256 << 10;

/// The adler32 of a whole file (RFC 1950, section 8.2).
pub fn adler32_of(path: &Path) -> io::Result<u32> {
    sum(&mut File::open(path)?, None).map(|(_, adler32)| adler32)
}

/// Size in bytes and adler32 of a whole file, as it is read now.
pub fn read_back(path: &Path) -> io::Result<(u64, u32)> {
    sum(&mut File::open(path)?, None)
}

/// Size in bytes and adler32 of what is left to read of a file, copied where a copy is wanted.
pub(crate) fn sum(file: &mut File, mut copy: Option<&mut File>) -> io::Result<(u64, u32)> {
    let expected = file.metadata()?.len();
    let size = usize::try_from(expected + 1).map_or(CHUNK_BYTES, |size| size.min(CHUNK_BYTES));
    let mut chunk = vec![0; size];
    let (mut bytes, mut adler32) = (0, Adler32::new());
    loop {
        let read = match file.read(&mut chunk) {
            Ok(0) => return Ok((bytes, adler32.finish())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        adler32.write(&chunk[..read]);
        if let Some(copy) = &mut copy {
            copy.write_all(&chunk[..read])?;
        }
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, slowly: two sums modulo 65521.
    fn oracle(bytes: &[u8]) -> u32 {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in bytes {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        b << 16 | a
    }

    #[test]
    fn files_of_any_length_give_the_sum_of_the_definition() {
        let folder = tempfile::tempdir().unwrap();
        let check = |length: usize| {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 31 + i / 251) as u8).collect();
            let path = folder.path().join("file");
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(adler32_of(&path).unwrap(), oracle(&bytes), "{length} bytes");
        };
        check(0);
        check(1);
        check(CHUNK_BYTES - 1);
        check(CHUNK_BYTES);
        check(3 * CHUNK_BYTES + 17);
        std::fs::write(folder.path().join("file"), b"Wikipedia").unwrap();
        assert_eq!(
            adler32_of(&folder.path().join("file")).unwrap(),
            0x11e6_0398
        );
    }
}
