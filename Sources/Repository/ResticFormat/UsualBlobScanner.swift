import BackupCore

extension JSONScanner {
    /// Reads a blob of an index in exactly the form that restic and this program write; nil, with
    /// nothing read, for any other, which is left to the general way.
    ///
    /// An index of a million blobs has 156 MB of JSON that is all alike: told apart member by
    /// member it takes ten times as long.
    mutating func readUsualBlob() -> PackedBlob? {
        // The cursor keeps within the bytes it is lent.
        unsafe readInPlace { cursor in
            guard unsafe cursor.skip("{\"id\":\""), let id = unsafe cursor.id(),
                unsafe cursor.skip("\",\"type\":\""), let kind = unsafe cursor.kind(),
                unsafe cursor.skip("\",\"offset\":"), let offset = unsafe cursor.number(),
                unsafe cursor.skip(",\"length\":"), let length = unsafe cursor.number(),
                length >= UInt32(Sealer.overhead)
            else { return nil }
            var plain: UInt32?
            if unsafe cursor.skip(",\"uncompressed_length\":") {
                guard let value = unsafe cursor.number(), value > 0 else { return nil }
                plain = value
            }
            guard unsafe cursor.skip("}") else { return nil }
            return PackedBlob(
                key: BlobKey(kind, id), offset: offset, length: length, uncompressedLength: plain)
        }
    }
}

/// A place in lent bytes that moves on over what it knows. Each step tells whether it did; after a
/// false or nil the place is of no use.
@unsafe
struct ByteCursor {
    private var place: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>

    /// A cursor from `place` up to `end`, in one buffer.
    init(from place: UnsafePointer<UInt8>, to end: UnsafePointer<UInt8>) {
        unsafe self.place = unsafe place
        unsafe self.end = unsafe end
    }

    /// How far the cursor has come from `start`.
    func distance(from start: UnsafePointer<UInt8>) -> Int { unsafe place - start }

    /// Moves over `text` when it stands here.
    @inline(__always)
    mutating func skip(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard unsafe end - place >= count else { return false }
        // Both have `count` bytes: the text for ever, the buffer because of the guard.
        let expected = unsafe text.utf8Start
        for index in 0..<count where unsafe place[index] != expected[index] { return false }
        unsafe place += count
        return true
    }

    /// Moves over the 64 digits of an id.
    @inline(__always)
    mutating func id() -> ContentID? {
        let count = 2 * ContentID.byteCount
        guard unsafe end - place >= count else { return nil }
        let digits = unsafe UnsafeBufferPointer(start: place, count: count)
        unsafe place += count
        return unsafe ContentID(lowerHex: digits)
    }

    /// Moves over the word for a blob's kind.
    mutating func kind() -> BlobKind? {
        if unsafe skip("data") { return .data }
        return unsafe skip("tree") ? .tree : nil
    }

    /// Moves over a whole number that fits; it has at most ten digits then.
    @inline(__always)
    mutating func number() -> UInt32? {
        var value: UInt64 = 0
        var count = 0
        while unsafe place < end, case let digit = unsafe place.pointee &- UInt8(ascii: "0"),
            digit < 10, count < 11
        {
            value = value * 10 + UInt64(digit)
            count += 1
            unsafe place += 1
        }
        return count == 0 ? nil : UInt32(exactly: value)
    }
}

extension ContentID {
    /// The id of 64 lower-case hexadecimal digits, else nil; without the detour over `String`,
    /// which costs an index of a million blobs more than everything else.
    @inline(__always)
    init?(lowerHex digits: some RandomAccessCollection<UInt8>) {
        guard digits.count == 2 * ContentID.byteCount else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var wrong: UInt64 = 0
        var position = digits.startIndex
        func word() -> UInt64 {
            var value: UInt64 = 0
            for _ in 0..<16 {
                let digit = UInt64(lowerHexValues[Int(digits[position])])
                // A byte that is no digit has a value of more than four bits.
                wrong |= digit
                value = value << 4 | digit
                digits.formIndex(after: &position)
            }
            return value
        }
        words.0 = word()
        words.1 = word()
        words.2 = word()
        words.3 = word()
        guard wrong < 16 else { return nil }
        self.init(words: words)
    }
}

/// The value of each byte as a lower-case hexadecimal digit; 255 for one that is none.
private let lowerHexValues: [UInt8] = (UInt8.min...UInt8.max).map { byte in
    let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
    return isUpper ? 255 : hexDigitValue(byte) ?? 255
}
