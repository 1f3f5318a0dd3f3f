/// The committed pages of an SQLite write-ahead log, which take the place of the database's own.
///
/// A log is a header of 32 bytes and frames of 24 bytes and a page. A frame counts when it has the
/// header's salts and the right running checksum, and when a frame that ends a transaction follows:
/// what is torn or left over from before is passed over, as SQLite does
/// (https://www.sqlite.org/fileformat2.html, section 4).
struct SQLiteLog {
    /// A longer log is not looked at.
    static let longest = 32 << 20
    static let headerLength = 32
    private static let frameHeaderLength = 24

    private let bytes: [UInt8]
    private let pageSize: Int
    /// Where the newest content of a page begins.
    private var places: [UInt32: Int] = [:]

    /// Reads a log of pages of `pageSize` bytes; one that is none, or of other pages, holds nothing.
    init(_ bytes: [UInt8], pageSize: Int) {
        self.bytes = bytes
        self.pageSize = pageSize
        guard bytes.count >= Self.headerLength else { return }
        let magic = Self.number(bytes, 0)
        guard magic & ~1 == 0x377F_0682, Int(Self.number(bytes, 8)) == pageSize else { return }
        var sum = Checksum(isBigEndian: magic & 1 == 1)
        sum.add(bytes[0..<24])
        guard sum.equals(bytes[24..<32]) else { return }
        let salts = bytes[16..<24]
        let frameLength = Self.frameHeaderLength + pageSize
        var open: [UInt32: Int] = [:]
        for start in stride(
            from: Self.headerLength, through: bytes.count - frameLength, by: frameLength)
        {
            let content = start + Self.frameHeaderLength
            guard bytes[start + 8..<start + 16] == salts else { return }
            sum.add(bytes[start..<start + 8])
            sum.add(bytes[content..<content + pageSize])
            guard sum.equals(bytes[start + 16..<content]) else { return }
            open[Self.number(bytes, start)] = content
            // The size of the database after a transaction stands in its last frame only.
            guard Self.number(bytes, start + 4) > 0 else { continue }
            places.merge(open) { $1 }
            open = [:]
        }
    }

    /// The page's bytes when the log has it.
    func page(_ number: UInt32) -> [UInt8]? {
        places[number].map { Array(bytes[$0..<$0 + pageSize]) }
    }

    private static func number(_ bytes: [UInt8], _ position: Int) -> UInt32 {
        bytes[position..<position + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Two sums over words of 32 bits, in the order of bytes that the log's writer had.
    private struct Checksum {
        let isBigEndian: Bool
        private var first: UInt32 = 0
        private var second: UInt32 = 0

        init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

        mutating func add(_ bytes: ArraySlice<UInt8>) {
            var position = bytes.startIndex
            while position + 8 <= bytes.endIndex {
                first &+= word(bytes, position) &+ second
                second &+= word(bytes, position + 4) &+ first
                position += 8
            }
        }

        /// Whether `bytes` are the sums, which stand most significant byte first in any log.
        func equals(_ bytes: ArraySlice<UInt8>) -> Bool {
            let start = bytes.startIndex
            return Self.bigEndian(bytes, start) == first
                && Self.bigEndian(bytes, start + 4) == second
        }

        private func word(_ bytes: ArraySlice<UInt8>, _ position: Int) -> UInt32 {
            let word = Self.bigEndian(bytes, position)
            return isBigEndian ? word : word.byteSwapped
        }

        private static func bigEndian(_ bytes: ArraySlice<UInt8>, _ position: Int) -> UInt32 {
            UInt32(bytes[position]) << 24 | UInt32(bytes[position + 1]) << 16
                | UInt32(bytes[position + 2]) << 8 | UInt32(bytes[position + 3])
        }
    }
}
