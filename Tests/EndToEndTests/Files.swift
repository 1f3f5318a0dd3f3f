import Foundation
import Glibc
import SimulatedPhones

/// The names in a folder, sorted; none when it is not there.
func files(in folder: String) -> [String] {
    // A folder that is not there has no files; tests that need it say so.
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
}

/// Every file and folder beneath a folder, by its path below, with what tells it from another:
/// content, and date if wanted. Folders stand with a slash behind, so that empty ones count.
func entries(
    of folder: String, dates: Bool = false, but left: [String] = []
) -> [(path: String, what: String)] {
    var found: [(path: String, what: String)] = []
    func visit(_ path: String) {
        for name in files(in: folder + path) {
            let below = path + "/" + name
            if left.contains(where: { below.hasPrefix($0) }) { continue }
            var status = stat()
            // Sound: the call fills the local.
            guard unsafe lstat(folder + below, &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                found.append((below + "/", ""))
                visit(below)
            case S_IFREG:
                let bytes = FileManager.default.contents(atPath: folder + below) ?? Data()
                let date = dates ? " \(status.st_mtim.tv_sec)" : ""
                found.append((below, "\(bytes.count) \(fingerprint(bytes))\(date)"))
            default: found.append((below, "not a file"))
            }
        }
    }
    visit("")
    return found
}

/// ``entries(of:dates:but:)`` by path. Texts that differ in bytes alone are equal in Swift, and
/// files with such names are two: what is not ASCII is escaped in the keys.
func contents(
    of folder: String, dates: Bool = false, but left: [String] = []
) -> [String: String] {
    var found: [String: String] = [:]
    for (path, what) in entries(of: folder, dates: dates, but: left) {
        let isPlain = path.utf8.allSatisfy { $0 < 0x80 }
        let key = isPlain ? path : path.utf8.map { "\($0)" }.joined(separator: " ")
        found[key] = what
    }
    return found
}

/// FNV-1a over 64-bit words: equality of test data, not security.
private func fingerprint(_ bytes: Data) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    unsafe bytes.withUnsafeBytes { buffer in
        var offset = 0
        while offset + 8 <= buffer.count {
            // Sound: eight bytes lie within the buffer.
            let word = unsafe buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            hash = (hash ^ word) &* 0x100_0000_01b3
            hash ^= hash >> 29
            offset += 8
        }
        while offset < buffer.count {
            hash = unsafe (hash ^ UInt64(buffer[offset])) &* 0x100_0000_01b3
            offset += 1
        }
    }
    return String(hash, radix: 16)
}

/// What lies in one mapping and differs in, or is missing from, the other; short, for messages.
func differences(_ left: [String: String], _ right: [String: String]) -> [String] {
    let keys = Set(left.keys).union(right.keys).sorted()
    return keys.filter { left[$0] != right[$0] }.prefix(10).map {
        "\($0): \(left[$0] ?? "missing") | \(right[$0] ?? "missing")"
    }
}

/// Numbers from a seed, so that what failed can be played again.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func bytes(_ count: Int) -> Data {
        var data = Data(capacity: count + 8)
        while data.count < count {
            // Sound: the word outlives the call that copies its bytes.
            unsafe withUnsafeBytes(of: next()) { unsafe data.append(contentsOf: $0) }
        }
        return data.prefix(count)
    }
}

/// The folder that stands for a phone's storage.
struct PhoneFolder {
    let path: String

    /// Writes a file with a date of its own, folders made as needed.
    func write(_ name: String, _ bytes: Data, date: Int = 1_700_000_000) throws {
        let full = path + "/" + name
        let folder = String(full[..<(full.lastIndex(of: "/") ?? full.startIndex)])
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try bytes.write(to: URL(fileURLWithPath: full))
        var times = [timeval(tv_sec: date, tv_usec: 0), timeval(tv_sec: date, tv_usec: 0)]
        // Sound: two times, as the call reads.
        _ = unsafe utimes(full, &times)
    }

    /// Photos of `size` bytes with incompressible content.
    func photos(_ numbers: Range<Int>, size: Int, seed: UInt64 = 1) throws {
        for number in numbers {
            var random = Seeded(seed &* 1_000_003 &+ UInt64(number))
            try write(
                "DCIM/Camera/IMG_\(1000 + number).jpg", random.bytes(size + number),
                date: 1_700_000_000 + number * 60)
        }
    }

    /// Photos, notes and a database, as a phone has them.
    func fill(photos count: Int = 8, size: Int = 150_000) throws {
        try photos(0..<count, size: size)
        var random = Seeded(99)
        try write("Download/Übersicht 2023.pdf", random.bytes(40_000), date: 1_690_000_000)
        try write("Recordings/empty.m4a", Data(), date: 1_680_000_000)
        try write("Notes/a.txt", Data("A note.\n".utf8), date: 1_600_000_000)
        try write(
            "WhatsApp/Databases/msgstore.db",
            Data("SQLite format 3\0".utf8) + random.bytes(300_000), date: 1_695_000_000)
    }

    func remove(_ name: String) throws {
        try FileManager.default.removeItem(atPath: path + "/" + name)
    }
}
