import BackupCore
import ResticFormat
import Synchronization

/// Reads files from whichever copy has them good.
final class CopyReader: Sendable {
    let backend: any RepositoryBackend
    /// The copy that is asked first: the last one that answered after another had failed, so that
    /// a drive that fails slowly is not waited for at each read.
    private let first = Mutex(0)

    init(_ backend: any RepositoryBackend) { self.backend = backend }

    /// What `decode` makes of the file `name`, from the first copy whose bytes have the right
    /// hash and satisfy `decode`.
    func read<Value>(
        _ name: FileName, decode: ([UInt8]) throws(FormatError) -> Value
    ) async throws(RepositoryError) -> Value {
        try await fromAnyCopy(of: name, range: nil) { bytes throws(FormatError) in
            guard !name.kind.isNamedByHash || ContentID.sha256(of: bytes) == name.id else {
                throw FormatError(.notAuthentic, "its bytes have another hash")
            }
            return try decode(bytes)
        }
    }

    /// What `decode` makes of a part of the file `name`.
    func read<Value>(
        _ name: FileName, range: Range<UInt64>,
        decode: ([UInt8]) throws(FormatError) -> Value
    ) async throws(RepositoryError) -> Value {
        try await fromAnyCopy(of: name, range: range, decode: decode)
    }

    private func fromAnyCopy<Value>(
        of name: FileName, range: Range<UInt64>?,
        decode: ([UInt8]) throws(FormatError) -> Value
    ) async throws(RepositoryError) -> Value {
        let count = max(1, backend.copyCount)
        let start = first.withLock { $0 }
        var failures = CopyFailures(name: name)
        for step in 0..<count {
            let copy = (start + step) % count
            let bytes: [UInt8]
            do throws(BackendError) {
                bytes = try await backend.read(name, range: range, copy: copy)
            } catch {
                failures.add(error)
                continue
            }
            do throws(FormatError) {
                let value = try decode(bytes)
                if failures.hasDriveFailure { first.withLock { $0 = copy } }
                return value
            } catch {
                failures.add(error)
            }
        }
        throw failures.error
    }
}

/// Why no copy of a file served.
private struct CopyFailures {
    let name: FileName
    private var damage: FormatError?
    private var drive: BackendError?
    private var isMissing = false

    init(name: FileName) { self.name = name }

    /// Whether a drive failed, rather than a file.
    var hasDriveFailure: Bool { drive != nil }

    mutating func add(_ error: BackendError) {
        switch error.code {
        case .noSuchFile: isMissing = true
        case .damaged: damage = FormatError(.malformed, error.detail)
        default: drive = error
        }
    }

    mutating func add(_ error: FormatError) { damage = error }

    /// Damage weighs most: it is there even when another drive is away.
    var error: RepositoryError {
        if let damage { return RepositoryError(name, damage) }
        if let drive { return RepositoryError(drive) }
        return RepositoryError(.missing, "\(name.relativePath) is on no drive")
    }
}

extension RepositoryError {
    /// A file whose bytes are not what they should be.
    init(_ name: FileName, _ error: FormatError) {
        let code: Code =
            switch error.code {
            case .unsupported: .unsupported
            case .limitExceeded: .limitExceeded
            case .malformed, .notAuthentic: .damaged
            }
        let verdict =
            switch code {
            case .unsupported: "cannot be used"
            case .limitExceeded: "is too large to be read"
            default: "is damaged"
            }
        self.init(code, "\(name.relativePath) \(verdict): \(error.detail)")
    }
}
