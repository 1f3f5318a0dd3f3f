import BackupCore
import Synchronization

/// What one drive has of an owner's repository, by names and sizes.
struct CopySurvey: Sendable {
    let backend: DriveBackend
    /// Whether there is a repository; without one all else is empty, whatever keys lie there.
    var isRepository = false
    var sizes: [FileName: UInt64] = [:]
    var config: [UInt8]?

    var drive: DriveID { backend.drive.id }

    /// The kinds that all copies must have, in the order in which a crash harms nothing.
    static let kinds: [FileKind] = [.key, .config, .data, .index, .snapshot]

    /// Removes what earlier runs left; only for who holds the owner's lock.
    static func sweep(_ copies: [DriveBackend]) async {
        for copy in copies {
            // A drive that cannot be swept fails the look that follows, which says why.
            _ = try? await copy.sweep()
        }
    }

    /// Looks at every drive at once. Drives that cannot be listed stand in `behind`.
    static func take(
        of copies: [DriveBackend]
    ) async -> (surveys: [CopySurvey], behind: [DriveID: BackendError]) {
        var results: [Int: Result<CopySurvey, BackendError>] = [:]
        await withTaskGroup(of: (Int, Result<CopySurvey, BackendError>).self) { group in
            for (position, copy) in copies.enumerated() {
                group.addTask { (position, await look(at: copy)) }
            }
            for await (position, result) in group { results[position] = result }
        }
        var surveys: [CopySurvey] = []
        var behind: [DriveID: BackendError] = [:]
        for (position, copy) in copies.enumerated() {
            switch results[position] {
            case .success(let survey): surveys.append(survey)
            case .failure(let error): behind[copy.drive.id] = error
            case nil: break
            }
        }
        return (await withoutRetiredKeys(surveys), behind)
    }

    /// The surveys without key files that were retired: a drive that was away still has them, and
    /// nobody lacks them. While all have the same keys there is nothing to tell apart, and the
    /// journals need not be read.
    private static func withoutRetiredKeys(_ surveys: [CopySurvey]) async -> [CopySurvey] {
        let keys = surveys.filter(\.isRepository).map { survey in
            Set(survey.sizes.keys.filter { $0.kind == .key })
        }
        guard Set(keys).count > 1 else { return surveys }
        let retired = await DriveBackend.retiredKeys(on: surveys.map(\.backend))
        return surveys.map { survey in
            var survey = survey
            for key in retired { survey.sizes[FileName(.key, key)] = nil }
            return survey
        }
    }

    /// The files that any drive's journal says were removed on purpose. A journal that cannot be
    /// read names none, and then a removed file comes back, which costs room only.
    static func tombstones(of surveys: [CopySurvey]) async -> Set<FileName> {
        var result: Set<FileName> = []
        for survey in surveys {
            result.formUnion(
                (try? await survey.backend.drive.journal.tombstones(of: survey.backend.owner))
                    ?? [])
        }
        return result
    }

    private static func look(at copy: DriveBackend) async -> Result<CopySurvey, BackendError> {
        do throws(BackendError) {
            return .success(
                try await copy.reading { (folder) throws(BackendError) in
                    try look(at: folder, of: copy)
                })
        } catch {
            return .failure(error)
        }
    }

    private static func look(
        at folder: RepositoryFolder, of copy: DriveBackend
    ) throws(BackendError) -> CopySurvey {
        try folder.drive.verifyPresent()
        var survey = CopySurvey(backend: copy)
        survey.isRepository = try folder.isRepository()
        guard survey.isRepository else { return survey }
        for kind in kinds {
            for file in try folder.list(kind) { survey.sizes[file.name] = file.byteCount }
        }
        if survey.sizes[.config] != nil {
            // What cannot be read is as good as altered: it differs from every good one.
            do throws(BackendError) {
                survey.config = try folder.read(
                    .config, range: 0..<min(1 << 16, survey.sizes[.config] ?? 0))
            } catch let error where error.code == .absent {
                throw error
            } catch {
                survey.config = []
            }
        }
        return survey
    }
}

/// Counts progress from several drives and hands it on in order.
final class CopyProgress: Sendable {
    private let state: Mutex<RunProgress>
    private let sink: CopyProgressSink?

    init(_ phase: RunProgress.Phase, files: Int, bytes: UInt64?, sink: CopyProgressSink?) {
        state = Mutex(RunProgress(phase: phase, filesTotal: files, bytesTotal: bytes))
        self.sink = sink
    }

    /// Adds finished work.
    func add(files: Int = 0, bytes: UInt64 = 0) {
        state.withLock { progress in
            progress.filesDone += files
            progress.bytesDone += bytes
            // Under the lock, so that numbers never go backwards at the sink.
            sink?(progress)
        }
    }
}
