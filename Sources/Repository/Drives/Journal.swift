package import BackupCore
import Glibc
import ResticFormat

/// The journal on a drive: what was done, in ids, counts and codes only.
///
/// One file per record, `<ten digits>.json`, one JSON line that carries the SHA-256 of the file
/// before it: a record that was changed or removed shows. The journal is a record for people and
/// a rebuilt catalog; nothing is decided by it but which files tombstones name.
package struct Journal: Sendable {
    private let drive: Drive

    init(drive: Drive) { self.drive = drive }

    /// Adds a record durably. Programs that append at the same time wait for each other.
    @discardableResult
    package func append(
        _ record: JournalRecord, at time: Timestamp
    ) async throws(BackendError) -> UInt64 {
        let drive = drive
        return try await drive.perform(on: drive.writer) { () throws(BackendError) in
            try drive.verifyPresent()
            return try Self.append(record, at: time, on: drive)
        }
    }

    /// All records in order, and what is wrong with them.
    package func read() async throws(BackendError) -> JournalReading {
        let drive = drive
        return try await drive.perform(on: drive.reader) { () throws(BackendError) in
            try drive.verifyPresent()
            return try Self.read(on: drive)
        }
    }

    /// The files that tombstones name, by owner: catch-up does not copy them back.
    package func tombstones(of owner: OwnerID) async throws(BackendError) -> Set<FileName> {
        Set(try await read().entries.flatMap { $0.record.tombstones(of: owner) })
    }

    // MARK: On the drive's threads

    private static func append(
        _ record: JournalRecord, at time: Timestamp, on drive: Drive
    ) throws(BackendError) -> UInt64 {
        let system = drive.system
        if try system.makeFolder("journal", in: drive.root) { try system.sync(drive.root) }
        let folder = try system.openFolder("journal", in: drive.root)
        try system.lock(folder)
        // Under the lock nobody else is writing here.
        _ = try system.sweep(folder)
        let last = try sequenceNumbers(in: folder, system: system).max()
        var previous: ContentID?
        if let last {
            previous = try system.readSmallFile(PathBytes(fileName(last)), in: folder)
                .map { ContentID.sha256(of: $0) }
        }
        let number = (last ?? 0) + 1
        try system.writeDurably(
            record.encoded(number: number, time: time, previous: previous),
            as: fileName(number), in: folder, replacing: false)
        return number
    }

    private static func fileName(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 10 - digits.count)) + digits + ".json"
    }

    private static func sequenceNumbers(
        in folder: Descriptor, system: DriveSyscalls
    ) throws(BackendError) -> [UInt64] {
        try system.names(in: folder).compactMap { name in
            guard let text = String(validating: name.bytes, as: UTF8.self),
                text.hasSuffix(".json"), let number = UInt64(text.dropLast(5)),
                number < UInt64.max, fileName(number) == text
            else { return nil }
            return number
        }
    }

    private static func read(on drive: Drive) throws(BackendError) -> JournalReading {
        let system = drive.system
        let folder: Descriptor
        do throws(BackendError) {
            folder = try system.openFolder("journal", in: drive.root)
        } catch let error where error.nativeCode == ENOENT {
            return JournalReading(entries: [], damage: [.missing(1)])
        }
        var reading = JournalReading(entries: [], damage: [])
        var expected: UInt64 = 1
        var previous: ContentID?
        for number in try sequenceNumbers(in: folder, system: system).sorted() {
            let bytes = try system.readSmallFile(PathBytes(fileName(number)), in: folder) ?? []
            // A gap is told by its first record only: a hostile number must not fill memory.
            if number > expected { reading.damage.append(.missing(expected)) }
            if let line = JournalLine(bytes), line.number == number {
                if number == expected && line.previous != previous {
                    reading.damage.append(.brokenChain(number))
                }
                reading.entries.append(
                    JournalEntry(number: number, time: line.time, record: line.record))
            } else {
                reading.damage.append(.garbled(number))
            }
            previous = .sha256(of: bytes)
            expected = number + 1
        }
        return reading
    }
}

/// A journal as read: damage never hides the rest.
package struct JournalReading: Hashable, Sendable {
    /// What is wrong, by the record's number.
    package enum Damage: Hashable, Sendable {
        case garbled(UInt64)
        /// This record, and perhaps some after it, is not there.
        case missing(UInt64)
        /// The record before this one is not the one it followed.
        case brokenChain(UInt64)
    }

    package internal(set) var entries: [JournalEntry]
    package internal(set) var damage: [Damage]
}

/// One record as it stands in a journal.
package struct JournalEntry: Hashable, Sendable {
    package let number: UInt64
    /// To the second.
    package let time: Timestamp
    package let record: JournalRecord
}
