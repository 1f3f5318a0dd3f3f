import BackupCore
import Glibc
import Synchronization

/// A file in the making under a temporary name beside its final one.
///
/// Source: reliability notes, write protocol W. Used by one thread at a time; a caller that
/// meets an error discards it and never goes on with the same one.
final class StagedFile: Sendable {
    /// What tells left-overs of ours from all other names.
    static let marker = "-tmp-"

    let folder: Descriptor
    let temporaryName: PathBytes
    private let system: DriveSyscalls
    private let file: Descriptor
    private let byteCount: UInt64
    private let written = Atomic<UInt64>(0)

    /// Makes the temporary file and reserves its space.
    init(
        name: String, byteCount: UInt64, in folder: Descriptor, system: DriveSyscalls
    ) throws(BackendError) {
        let (file, temporaryName) = try Self.create(name, in: folder, system: system)
        self.file = file
        self.temporaryName = temporaryName
        self.folder = folder
        self.system = system
        self.byteCount = byteCount
        do throws(BackendError) {
            try system.allocate(file, byteCount: byteCount)
        } catch {
            discard()
            throw error
        }
    }

    private static func create(
        _ name: String, in folder: Descriptor, system: DriveSyscalls
    ) throws(BackendError) -> (Descriptor, PathBytes) {
        var attempt = 1
        while true {
            let temporaryName = PathBytes("\(name)\(marker)\(attempt)")
            do throws(BackendError) {
                return (try system.createFile(temporaryName, in: folder), temporaryName)
            } catch let error where error.nativeCode == EEXIST && attempt < 10_000 {
                attempt += 1
            }
        }
    }

    /// Adds bytes at the end.
    func append(_ bytes: [UInt8]) throws(BackendError) {
        try system.write(file, bytes[...])
        written.add(UInt64(bytes.count), ordering: .relaxed)
    }

    /// Counts, makes the bytes durable and closes.
    func finish() throws(BackendError) {
        guard written.load(ordering: .relaxed) == byteCount,
            try system.status(file).byteCount == byteCount
        else { throw system.error(.io, "a file came out with another size than was written") }
        try system.sync(file)
        // What is on the medium need not stay in memory: nobody reads it soon, and pages given
        // back at once serve for the next file. For 3 GB to two drives that was 4.7 s of system
        // time instead of 10 to 15.
        system.dropCache(of: file)
        try system.changeMode(file, 0o400)
        try system.close(file)
    }

    /// Gives the file its final name; EEXIST when that is taken.
    func publish(as name: PathBytes) throws(BackendError) {
        try system.renameExclusively(temporaryName, in: folder, to: name, in: folder)
    }

    /// Gives the file its final name, replacing what has it.
    func publishReplacing(_ name: PathBytes) throws(BackendError) {
        try system.rename(temporaryName, in: folder, to: name, in: folder)
    }

    /// Gives the file up.
    func discard() {
        // Errors are of no use here: what stays is swept by the next run.
        _ = try? system.close(file)
        _ = try? system.unlink(temporaryName, in: folder)
    }
}

extension DriveSyscalls {
    /// Writes a small file of the drive itself (`drive.json`, a journal record) durably, with one
    /// fresh attempt after an error.
    func writeDurably(
        _ bytes: [UInt8], as name: String, in folder: Descriptor, replacing: Bool
    ) throws(BackendError) {
        do throws(BackendError) {
            try writeOnce(bytes, as: name, in: folder, replacing: replacing)
        } catch let error where error.code == .io && error.nativeCode != EEXIST {
            try writeOnce(bytes, as: name, in: folder, replacing: replacing)
        }
        try sync(folder)
    }

    private func writeOnce(
        _ bytes: [UInt8], as name: String, in folder: Descriptor, replacing: Bool
    ) throws(BackendError) {
        let staged = try StagedFile(
            name: name, byteCount: UInt64(bytes.count), in: folder, system: self)
        do throws(BackendError) {
            try staged.append(bytes)
            try staged.finish()
            if replacing {
                try staged.publishReplacing(PathBytes(name))
            } else {
                try staged.publish(as: PathBytes(name))
            }
        } catch {
            staged.discard()
            throw error
        }
    }

    /// A small file's bytes; nil when there is none. More than `limit` bytes are cut off, which
    /// makes them damage for every reader.
    func readSmallFile(
        _ name: PathBytes, in folder: Descriptor, limit: Int = 1 << 16
    ) throws(BackendError) -> [UInt8]? {
        do throws(BackendError) {
            return try read(try openFile(name, in: folder), offset: 0, count: limit)
        } catch let error where error.nativeCode == ENOENT {
            return nil
        } catch let error where error.nativeCode == ELOOP || error.nativeCode == EISDIR {
            return []
        }
    }

    /// Removes left-overs of ours in `folder`; returns how many.
    func sweep(_ folder: Descriptor) throws(BackendError) -> Int {
        let marker = Array(StagedFile.marker.utf8)
        var swept = 0
        for name in try names(in: folder) where Self.isTemporary(name.bytes, marker: marker) {
            if try status(name, in: folder)?.kind == .regular, try unlink(name, in: folder) {
                swept += 1
            }
        }
        return swept
    }

    /// `<name>-tmp-<digits>`, which is how restic names its own too.
    private static func isTemporary(_ name: [UInt8], marker: [UInt8]) -> Bool {
        let digits = name.reversed().prefix { (0x30...0x39).contains($0) }.count
        return digits > 0 && name.dropLast(digits).suffix(marker.count).elementsEqual(marker)
    }
}
