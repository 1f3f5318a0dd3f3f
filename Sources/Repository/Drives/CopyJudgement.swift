import BackupCore
import ResticFormat

/// Which files of which drives are good, missing or bad.
struct CopyJudgement: Sendable {
    /// What one drive has under one name.
    enum State: Sendable, Hashable {
        /// There; whether its bytes are good was not looked at.
        case present
        case good
        case bad
        case unreadable
        case missing
    }

    let surveys: [CopySurvey]
    /// By file, the state on each drive.
    private(set) var states: [FileName: [DriveID: State]] = [:]

    /// Reads what must be read: everything with `readData`, else only files whose sizes differ
    /// and the configs. Each drive is read by itself, all at once.
    static func make(
        _ surveys: [CopySurvey], readData: Bool, judge: @escaping ConfigJudge,
        progress: CopyProgress
    ) async -> CopyJudgement {
        let doubtful = Set(filesOfDifferentSizes(surveys))
        var result = CopyJudgement(surveys: surveys)
        for file in Set(surveys.flatMap(\.sizes.keys)) {
            for survey in surveys {
                result.states[file, default: [:]][survey.drive] =
                    survey.sizes[file] == nil ? .missing : .present
            }
        }
        await withTaskGroup(of: (DriveID, [FileName: State]).self) { group in
            for survey in surveys {
                group.addTask {
                    var found: [FileName: State] = [:]
                    for file in survey.sizes.keys.sorted() where !Task.isCancelled {
                        guard readData || doubtful.contains(file) || file == .config else {
                            progress.add(files: 1)
                            continue
                        }
                        found[file] = await state(of: file, on: survey, judge: judge)
                        progress.add(files: 1, bytes: survey.sizes[file] ?? 0)
                    }
                    return (survey.drive, found)
                }
            }
            for await (drive, found) in group {
                for (file, state) in found { result.states[file]?[drive] = state }
            }
        }
        return result
    }

    /// Files that several drives have in different sizes.
    static func filesOfDifferentSizes(_ surveys: [CopySurvey]) -> [FileName] {
        var sizes: [FileName: Set<UInt64>] = [:]
        for survey in surveys {
            for (file, size) in survey.sizes where file != .config {
                sizes[file, default: []].insert(size)
            }
        }
        return sizes.filter { $0.value.count > 1 }.keys.sorted()
    }

    /// Whether a drive's file is good, read from the medium.
    static func isGood(
        _ file: FileName, on survey: CopySurvey, judge: ConfigJudge
    ) async -> Bool {
        await state(of: file, on: survey, judge: judge) == .good
    }

    private static func state(
        of file: FileName, on survey: CopySurvey, judge: ConfigJudge
    ) async -> State {
        if file == .config { return judge(survey.config ?? []) ? .good : .bad }
        do throws(BackendError) {
            // In steps, so that a large file does not keep the drive's thread from other reads.
            let reading = try await survey.backend.reading { (folder) throws(BackendError) in
                try FileReading(file, in: folder)
            }
            while try await survey.backend.reading({ (_) throws(BackendError) in
                try reading.next(FileTransfer.pieceByteCount) != nil
            }) {}
            return reading.finish() == file.id ? .good : .bad
        } catch {
            switch error.code {
            case .damaged: return .bad
            case .noSuchFile: return .missing
            default: return .unreadable
            }
        }
    }

    /// Every file that a drive lacks or has bad, in the order in which it should be repaired.
    func findings() -> [CopyFinding] {
        var findings: [CopyFinding] = []
        for kind in CopySurvey.kinds {
            for (file, drives) in states.filter({ $0.key.kind == kind }).sorted(by: {
                $0.key < $1.key
            }) {
                for survey in surveys {
                    guard let problem = problem(of: file, on: survey) else { continue }
                    let others = drives.filter { $0.key != survey.drive }.values
                    findings.append(
                        CopyFinding(
                            drive: survey.drive, file: file, problem: problem,
                            hasGoodCopy: others.contains { $0 == .good || $0 == .present }))
                }
            }
        }
        return findings
    }

    private func problem(of file: FileName, on survey: CopySurvey) -> CopyFinding.Problem? {
        switch states[file]?[survey.drive] {
        case .good, .present, nil: return nil
        case .missing: return .missing
        case .unreadable: return .unreadable
        case .bad:
            let good = surveys.first { states[file]?[$0.drive] == .good }
            guard file != .config, let good, good.sizes[file] != survey.sizes[file] else {
                return .wrongHash
            }
            return .wrongSize
        }
    }
}
