import BackupCore

/// Copies one file from one drive to another in pieces, hashing what it reads.
///
/// Nothing gets its final name unless it is what the name promises. Reading goes on while the
/// last piece is written; two pieces are in memory.
struct FileTransfer: Sendable {
    static let pieceByteCount = 4 << 20

    enum Failure: Error {
        /// The source's bytes are not good, or cannot be read.
        case source(BackendError)
        /// The target cannot take the file.
        case target(BackendError)
        case cancelled
    }

    let file: FileName
    let source: DriveBackend
    let target: DriveBackend
    /// Whether what has the name on the target is known to be bad, so that it is moved aside
    /// unseen.
    let isKnownBad: Bool
    /// Whether the bytes are good, for the config; everything else is judged by its hash.
    let judge: ConfigJudge

    /// Copies; returns the file's size. A target's I/O error gives one fresh attempt.
    func run() async throws(Failure) -> UInt64 {
        do throws(Failure) {
            return try await attempt()
        } catch {
            guard case .target(let cause) = error, cause.code == .io else { throw error }
            return try await attempt()
        }
    }

    private func attempt() async throws(Failure) -> UInt64 {
        let file = file
        let reading = try await fromSource { (folder) throws(BackendError) in
            try FileReading(file, in: folder)
        }
        let byteCount = reading.byteCount
        let staged = try await toTarget { (folder) throws(BackendError) in
            try folder.prepare(file, byteCount: byteCount, needsConfig: false)
            return try folder.stage(file, byteCount: byteCount)
        }
        do throws(Failure) {
            try await pour(reading, into: staged)
            try await finish(staged, byteCount: byteCount)
            return byteCount
        } catch {
            // What this leaves is swept by the next run.
            try? await toTarget { (_) throws(BackendError) in staged.discard() }
            throw error
        }
    }

    private func pour(_ reading: FileReading, into staged: StagedFile) async throws(Failure) {
        var config: [UInt8] = []
        var piece = try await next(reading)
        while let bytes = piece {
            guard !Task.isCancelled else { throw .cancelled }
            if file.kind == .config { config += bytes }
            async let following = result { () async throws(Failure) in try await next(reading) }
            try await toTarget { (_) throws(BackendError) in try staged.append(bytes) }
            piece = try await following.get()
        }
        let isGood =
            file.kind == .config
            ? judge(config)
            : try await fromSource { (_) throws(BackendError) in reading.finish() } == file.id
        guard isGood else {
            throw .source(
                source.drive.system.error(
                    .damaged, "\(file.relativePath) is not what its name promises"))
        }
    }

    private func finish(_ staged: StagedFile, byteCount: UInt64) async throws(Failure) {
        let (file, isKnownBad) = (file, isKnownBad)
        try await toTarget { (folder) throws(BackendError) in
            try staged.finish()
            try folder.drive.verifyPresent()
            try folder.publish(staged, as: file, byteCount: byteCount, knownBad: isKnownBad)
        }
    }

    private func next(_ reading: FileReading) async throws(Failure) -> [UInt8]? {
        try await fromSource { (_) throws(BackendError) in
            try reading.next(Self.pieceByteCount)
        }
    }

    private func result<Value: Sendable>(
        _ body: () async throws(Failure) -> Value
    ) async -> Result<Value, Failure> {
        do throws(Failure) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    private func fromSource<Value: Sendable>(
        _ body: @escaping @Sendable (RepositoryFolder) throws(BackendError) -> Value
    ) async throws(Failure) -> Value {
        do throws(BackendError) {
            return try await source.reading(body)
        } catch {
            throw .source(error)
        }
    }

    private func toTarget<Value: Sendable>(
        _ body: @escaping @Sendable (RepositoryFolder) throws(BackendError) -> Value
    ) async throws(Failure) -> Value {
        do throws(BackendError) {
            return try await target.writing(body)
        } catch {
            throw .target(error)
        }
    }
}
