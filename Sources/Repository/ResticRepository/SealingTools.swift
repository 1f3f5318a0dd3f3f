import BackupCore
import ResticFormat
import Synchronization

/// A cipher and a compressor, which serve one caller at a time.
struct SealingParts {
    let sealer: Sealer
    let codec = ZstdCodec()

    /// Opens sealed bytes and hashes what is in them, piece by piece in the processor's cache;
    /// throws unless it is the blob `id` of `plainLength` bytes.
    func prove(
        _ sealed: UnsafeRawBufferPointer, is id: ContentID, plainLength: Int, isCompressed: Bool
    ) throws(FormatError) {
        var hash = SHA256()
        var count = 0
        if isCompressed { codec.beginFrame() }
        // Everything is lent for the calls only.
        try unsafe sealer.open(sealed) { piece throws(FormatError) in
            guard isCompressed else {
                count += piece.count
                return unsafe hash.update(piece)
            }
            try unsafe codec.decompress(next: piece) { plain throws(FormatError) in
                count += plain.count
                guard count <= plainLength else {
                    throw FormatError(.malformed, "it is longer than it should be")
                }
                unsafe hash.update(plain)
            }
        }
        if isCompressed { try codec.endFrame() }
        guard count == plainLength, hash.finalize() == id else {
            throw FormatError(.notAuthentic, "its content has another hash")
        }
    }
}

/// Parts that go from thread to thread; whoever took them is the only one to use them.
final class SealingTools: Sendable {
    /// Never waited for.
    private let parts: Mutex<SealingParts>

    init(_ key: MasterKey) { parts = Mutex(SealingParts(sealer: Sealer(key))) }

    func use<Value: Sendable, Failure: Error>(
        _ body: (SealingParts) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try parts.withLock { parts throws(Failure) in try body(parts) }
    }
}
