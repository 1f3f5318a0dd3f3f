import BackupCore
import Drives
import Glibc

/// What may happen to a file on a drive.
enum RotKind: String, CaseIterable, Sendable {
    case flip, garbage, zeros, stale, truncate, extend, delete, swap, unreadable

    /// Whether it changes bytes and keeps the size, so that it can be aimed at one blob.
    static let aimed: [RotKind] = [.flip, .garbage, .zeros, .stale]
}

/// Changes files on a drive, past the code under test.
struct RotDamage {
    let kind: RotKind
    /// The part of the file that is hit; nil for anywhere.
    var range: Range<Int>?

    /// Does it to the file at `path`. `other` is another file of the drive: its bytes are what
    /// turns up in the wrong place.
    func apply(to path: String, other: String, _ numbers: inout TrialNumbers) {
        guard var bytes = TrialFiles.read(path), !bytes.isEmpty else { return }
        switch kind {
        case .flip:
            let place = place(in: bytes, &numbers)
            bytes[place] ^= 1 << UInt8(numbers.below(8))
        case .garbage: overwrite(&bytes, numbers.bytes(4096), &numbers)
        case .zeros: overwrite(&bytes, [UInt8](repeating: 0, count: 4096), &numbers)
        case .stale:
            let old = TrialFiles.read(other) ?? []
            overwrite(&bytes, Array(old.prefix(4096)), &numbers)
        case .truncate: bytes.removeLast(1 + numbers.below(bytes.count))
        case .extend: bytes += numbers.bytes(1 + numbers.below(4096))
        case .delete:
            unlink(path)
            return
        case .swap:
            let theirs = TrialFiles.read(other) ?? []
            TrialFiles.write(other, bytes)
            bytes = theirs
        case .unreadable:
            // A file of its own, so that the medium's fault is this drive's alone.
            break
        }
        TrialFiles.write(path, bytes)
    }

    private func place(in bytes: [UInt8], _ numbers: inout TrialNumbers) -> Int {
        let range = range ?? bytes.indices
        return range.lowerBound + numbers.below(range.count)
    }

    /// Puts a block over the file's bytes, as a drive loses one; at least one byte changes.
    private func overwrite(
        _ bytes: inout [UInt8], _ block: [UInt8], _ numbers: inout TrialNumbers
    ) {
        let range = range ?? bytes.indices
        let start = range.lowerBound + numbers.below(range.count)
        let before = bytes
        for (offset, byte) in block.enumerated() where start + offset < range.upperBound {
            bytes[start + offset] = byte
        }
        if bytes == before { bytes[start] ^= 0x5A }
    }
}

/// Makes one drive unable to read certain files, as a failing medium is.
struct RotMedium: Sendable {
    private struct Place: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        }
    }

    private var bad: Set<Place> = []

    mutating func spoil(_ path: String) {
        var status = stat()
        if lstat(path, &status) == 0 { bad.insert(Place(status)) }
    }

    /// Fails reads while a bad file is open in this process: a drive reads one file at a time.
    var hook: DriveFaultHook? {
        let bad = bad
        guard !bad.isEmpty else { return nil }
        return { call in
            guard call == .read else { return nil }
            for name in TrialFiles.names("/proc/self/fd") {
                var status = stat()
                guard let number = Int32(name), fstat(number, &status) == 0 else { continue }
                if bad.contains(Place(status)) { return .error(EIO) }
            }
            return nil
        }
    }
}
