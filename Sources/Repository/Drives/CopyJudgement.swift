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
    /// Files that were removed on purpose: no drive lacks them.
    var retired: Set<FileName> = []
    /// Drives that stopped answering while they were read; the rest of their files count as there.
    private(set) var failed: [DriveID: BackendError] = [:]

    /// Reads what must be read: everything with `readData`, else only files whose sizes differ
    /// and the configs. Each drive is read by itself, all at once.
    static func make(
        _ surveys: [CopySurvey], readData: Bool, judge: @escaping ConfigJudge,
        provers: [DriveID: PackProver] = [:], progress: CopyProgress
    ) async -> CopyJudgement {
        let doubtful = Set(filesOfDifferentSizes(surveys))
        var result = CopyJudgement(surveys: surveys)
        for file in Set(surveys.flatMap(\.sizes.keys)) {
            for survey in surveys {
                result.states[file, default: [:]][survey.drive] =
                    survey.sizes[file] == nil ? .missing : .present
            }
        }
        await withTaskGroup(of: (DriveID, [FileName: ReadBack]).self) { group in
            for survey in surveys {
                group.addTask {
                    let toRead = survey.sizes.keys.sorted().filter {
                        readData || doubtful.contains($0) || $0 == .config
                    }
                    progress.add(files: survey.sizes.count - toRead.count)
                    let prover = readData ? provers[survey.drive] : nil
                    let found = await read(toRead, of: survey, judge, prover, progress)
                    return (survey.drive, found)
                }
            }
            for await (drive, found) in group {
                for (file, found) in found { result.note(found, of: file, on: drive) }
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
        await survey.backend.readBack(file, validConfig: judge) == .good
    }

    private static func read(
        _ files: [FileName], of survey: CopySurvey, _ judge: ConfigJudge,
        _ prover: PackProver?, _ progress: CopyProgress
    ) async -> [FileName: ReadBack] {
        guard let prover else { return await read(files, of: survey, judge, progress) }
        let packs = files.filter { $0.kind == .data }
        let others = files.filter { $0.kind != .data }
        let found = await read(others, of: survey, judge, progress)
        let proven = await prover(packs) { progress.add(bytes: $0) }
        progress.add(files: packs.count)
        return found.merging(proven) { first, _ in first }
    }

    private static func read(
        _ files: [FileName], of survey: CopySurvey, _ judge: ConfigJudge,
        _ progress: CopyProgress
    ) async -> [FileName: ReadBack] {
        var results: [FileName: ReadBack] = [:]
        await survey.backend.readBack(files, validConfig: judge, mayRead: { !Task.isCancelled }) {
            file, result, _ in
            results[file] = result
            progress.add(files: 1, bytes: survey.sizes[file] ?? 0)
        }
        return results
    }

    private mutating func note(_ found: ReadBack, of file: FileName, on drive: DriveID) {
        switch found {
        case .good: states[file]?[drive] = .good
        case .bad(.unreadable): states[file]?[drive] = .unreadable
        case .bad: states[file]?[drive] = .bad
        case .gone: states[file]?[drive] = .missing
        case .failed(let error): failed[drive] = error
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
        case .missing: return retired.contains(file) ? nil : .missing
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
