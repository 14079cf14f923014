//! The encodings in which JSON documents come: UTF-8 with or without byte order marks, UTF-16, and either of them compressed by
//! gzip. What else begins with known bytes is named, so that whoever sent it knows what to change.

use std::io::{self, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;

/// Bytes that tell an encoding; as many as the longest of [`OTHERS`].
const TELLING: u64 = 10;

/// What is recognised and not read, by its first bytes.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"\x04\x22\x4d\x18", "compressed by lz4"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\xff\x06\0\0sNaPpY", "compressed by snappy"),
    (b"LZIP", "compressed by lzip"),
    (b"\x1f\x9d", "compressed by compress"),
    (b"\x78\x01", "compressed by zlib (deflate)"),
    (b"\x78\x9c", "compressed by zlib (deflate)"),
    (b"\x78\xda", "compressed by zlib (deflate)"),
    (b"PAR1", "a Parquet file"),
    (b"Obj\x01", "an Avro file"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe\0\0", "UTF-32"),
];

/// UTF-8's byte order mark.
const MARK: &[u8] = "\u{feff}".as_bytes();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16 { big_endian: bool },
    Gzip,
    Other(&'static str),
}

impl Encoding {
    /// By the first bytes. JSON begins with an ASCII character, so zeros tell UTF-16 and UTF-32 where no mark does.
    fn of(first: &[u8]) -> Self {
        if let Some((_, name)) = OTHERS.iter().find(|(bytes, _)| first.starts_with(bytes)) {
            return Self::Other(name);
        }
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfe, 0xff, ..] => Self::Utf16 { big_endian: true },
            [0xff, 0xfe, ..] => Self::Utf16 { big_endian: false },
            [0, 0, 0, 1..=u8::MAX, ..] | [1..=u8::MAX, 0, 0, 0, ..] => Self::Other("UTF-32"),
            [0, 1..=u8::MAX, ..] => Self::Utf16 { big_endian: true },
            [1..=u8::MAX, 0, ..] => Self::Utf16 { big_endian: false },
            _ => Self::Utf8,
        }
    }
}

/// Whether these are UTF-8, if they are text at all, and begin with no mark: nothing is to be done to read them.
pub fn is_plain(bytes: &[u8]) -> bool {
    Encoding::of(bytes) == Encoding::Utf8 && !bytes.starts_with(MARK)
}

/// JSON documents as UTF-8.
pub struct Decoded {
    /// The text, as far as it is: whether it is UTF-8 is for the reader to see.
    pub text: Box<dyn Read + Send>,
    /// Whether it came compressed: then it can be a thousand times longer than what came.
    pub compressed: bool,
}

/// Decodes what comes, as it comes.
///
/// # Errors
/// When it cannot be read, or its encoding is [`io::ErrorKind::Unsupported`]. Reading the text fails with another kind where the
/// encoding is broken.
pub fn decoded(input: impl Read + Send + 'static) -> io::Result<Decoded> {
    let (encoding, input) = told(input)?;
    if encoding != Encoding::Gzip {
        let text = text(encoding, input)?;
        return Ok(Decoded {
            text,
            compressed: false,
        });
    }
    let unpacked = Gunzip(MultiGzDecoder::new(input));
    let (encoding, unpacked) = told(unpacked)?;
    Ok(Decoded {
        text: text(encoding, unpacked)?,
        compressed: true,
    })
}

/// The encoding, and the input with what was read of it.
fn told<R: Read + Send>(mut input: R) -> io::Result<(Encoding, impl Read + Send + use<R>)> {
    let mut first = Vec::new();
    input.by_ref().take(TELLING).read_to_end(&mut first)?;
    Ok((Encoding::of(&first), Cursor::new(first).chain(input)))
}

fn text(encoding: Encoding, input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let unsupported = |what: &str| {
        let error =
            format!("this is {what}, and only JSON as it is, or compressed once by gzip, is read here");
        Err(io::Error::new(io::ErrorKind::Unsupported, error))
    };
    match encoding {
        Encoding::Utf8 => Ok(Box::new(WithoutMarks::new(BufReader::new(input)))),
        Encoding::Utf16 { big_endian } => Ok(Box::new(WithoutMarks::new(Utf16::new(input, big_endian)))),
        Encoding::Gzip => unsupported("compressed by gzip twice"),
        Encoding::Other(name) => unsupported(name),
    }
}

/// Unpacks all members of a gzip file, and says so where it cannot.
struct Gunzip<R>(MultiGzDecoder<R>);

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            let what = format!("what gzip compressed is damaged or broken off: {error}");
            io::Error::new(error.kind(), what)
        })
    }
}

/// UTF-16 as UTF-8.
struct Utf16<R> {
    input: R,
    big_endian: bool,
    /// Read and not decoded: half of a unit, or of a pair.
    rest: Vec<u8>,
    text: Cursor<String>,
}

impl<R: Read> Utf16<R> {
    fn new(input: R, big_endian: bool) -> Self {
        Self {
            input,
            big_endian,
            rest: Vec::new(),
            text: Cursor::default(),
        }
    }

    /// Decodes what comes next; false at the end.
    fn decode_more(&mut self) -> io::Result<bool> {
        let mut bytes = std::mem::take(&mut self.rest);
        let before = bytes.len();
        self.input.by_ref().take(8 * 1024).read_to_end(&mut bytes)?;
        let is_end = bytes.len() == before;
        let unit = |pair: &[u8]| match self.big_endian {
            true => u16::from_be_bytes([pair[0], pair[1]]),
            false => u16::from_le_bytes([pair[0], pair[1]]),
        };
        let mut units: Vec<u16> = bytes.chunks_exact(2).map(unit).collect();
        // The second half of a surrogate pair is still to come.
        if !is_end && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
        }
        self.rest = bytes.split_off(2 * units.len());
        let text = char::decode_utf16(units).collect::<Result<String, _>>();
        match text {
            Ok(text) if !is_end || self.rest.is_empty() => self.text = Cursor::new(text),
            _ => {
                let error = "this is not valid UTF-16";
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Ok(!is_end)
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.text.read(buffer)?;
            if read > 0 || buffer.is_empty() || !self.decode_more()? {
                return Ok(read);
            }
        }
    }
}

/// Has spaces for byte order marks outside of JSON strings: one file after another may begin with one. Inside a string it belongs
/// to the text, to an object's key for example.
struct WithoutMarks<R> {
    input: R,
    in_string: bool,
    escaped: bool,
    /// How many bytes of a mark have come.
    of_mark: usize,
}

impl<R: Read> WithoutMarks<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            in_string: false,
            escaped: false,
            of_mark: 0,
        }
    }

    fn pass(&mut self, byte: &mut u8) {
        if self.in_string {
            self.in_string = self.escaped || *byte != b'"';
            self.escaped = !self.escaped && *byte == b'\\';
            return;
        }
        self.in_string = *byte == b'"';
        if *byte == MARK[self.of_mark] {
            *byte = b' ';
            self.of_mark = (self.of_mark + 1) % MARK.len();
        } else {
            self.of_mark = 0;
        }
    }
}

impl<R: Read> Read for WithoutMarks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        buffer[..read].iter_mut().for_each(|byte| self.pass(byte));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const TEXT: &str = "{\"key\": \"a\u{feff}b \\\" 사진 🚀\"}\r\n[\"\\\\\"]";

    fn read(bytes: &[u8]) -> io::Result<String> {
        // In pieces as small as a pipe may hand them out.
        struct Dripping(Cursor<Vec<u8>>);
        impl Read for Dripping {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let most = buffer.len().min(1);
                self.0.read(&mut buffer[..most])
            }
        }
        let mut all = String::new();
        let mut at_once = String::new();
        decoded(Cursor::new(bytes.to_vec()))?
            .text
            .read_to_string(&mut at_once)?;
        decoded(Dripping(Cursor::new(bytes.to_vec())))?
            .text
            .read_to_string(&mut all)?;
        assert_eq!(all, at_once);
        Ok(all)
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let marked = format!("\u{feff}{TEXT}");
        let encodings = [
            TEXT.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            utf16(TEXT, u16::to_le_bytes),
            utf16(TEXT, u16::to_be_bytes),
            utf16(&marked, u16::to_le_bytes),
            utf16(&marked, u16::to_be_bytes),
        ];
        for bytes in &encodings {
            for bytes in [bytes.clone(), gzip(bytes)] {
                assert_eq!(read(&bytes).unwrap().trim_start(), TEXT);
            }
        }
        let members = [gzip(TEXT.as_bytes()), gzip(TEXT.as_bytes())].concat();
        assert_eq!(read(&members).unwrap(), format!("{TEXT}{TEXT}"));
        // Longer than what is decoded at once, with pairs on every boundary.
        let long = format!("\"{}\"", "🚀".repeat(20_000));
        for text in [long.clone(), format!(" {long}")] {
            assert_eq!(read(&utf16(&text, u16::to_le_bytes)).unwrap(), text);
        }
    }

    #[test]
    fn a_mark_is_skipped_before_every_document_and_kept_within_texts() {
        let two = format!("\u{feff}{TEXT}\u{feff}{TEXT}");
        assert_eq!(read(two.as_bytes()).unwrap(), format!("   {TEXT}   {TEXT}"));
        assert!(is_plain(TEXT.as_bytes()) && is_plain(b"") && !is_plain(two.as_bytes()));
    }

    #[test]
    fn what_is_not_read_is_named_and_what_is_broken_is_an_error() {
        for (bytes, name) in OTHERS {
            let error = read(&[bytes, b"then".as_slice()].concat()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains(name), "{error}");
            assert!(bytes.len() as u64 <= TELLING);
        }
        for (bytes, name) in [
            (gzip(&gzip(b"{}")), "twice"),
            (gzip(b"PK\x03\x04"), "zip"),
            (b"{\0\0\0}\0\0\0".to_vec(), "UTF-32"),
            (b"\0\0\0{\0\0\0}".to_vec(), "UTF-32"),
        ] {
            let error = read(&bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains(name), "{error}");
        }
        let whole = gzip(TEXT.as_bytes());
        let mut damaged = whole.clone();
        damaged[15] ^= 0xff;
        for broken in [
            &whole[..whole.len() - 9],
            &whole[..12],
            &damaged,
            &utf16(TEXT, u16::to_le_bytes)[1..],
            &utf16(TEXT, u16::to_le_bytes)[..33],
            b"\xff\xfe\x00\xd8{\0",
            b"\xff\xfe\x00\xd8",
        ] {
            let kind = read(broken).unwrap_err().kind();
            let kinds = [
                io::ErrorKind::InvalidData,
                io::ErrorKind::InvalidInput,
                io::ErrorKind::UnexpectedEof,
            ];
            assert!(kinds.contains(&kind), "{broken:?}: {kind}");
        }
    }
}
