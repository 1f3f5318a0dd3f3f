import BackupCore

extension Programme {
    /// The cable of an iPhone breaks.
    static let lostLines = Programme(
        name: "lost-lines",
        summary: "an iPhone's cable breaks at any byte or stage of its own backup",
        trials: 200, slice: 5
    ) { options in
        let box = try LineBox(in: options.ownFolder("lines"))
        return try await options.count { number in
            var trial = LineTrial(box, numbers: TrialNumbers(seed: options.seed, trial: number))
            let problems = try trial.run(isJudged: number % 5 == 3)
            return TrialResult(
                problems: problems.map { "\(trial.story): \($0)" }, counts: trial.counts)
        }
    }
}

/// One trial: the cable breaks during a first or a later backup, perhaps twice; what there was
/// before stays as it was, and the next run makes a whole backup.
struct LineTrial {
    private static let stages = [
        "hello", "request", "prompt", "status", "manifest", "space", "prepare", "upload", "seal",
        "move", "remove", "finish", "response",
    ]
    private let box: LineBox
    private var numbers: TrialNumbers
    private(set) var counts: [String] = []
    /// Where the cable broke, for a failure's message.
    private(set) var story = ""

    init(_ box: LineBox, numbers: TrialNumbers) {
        self.box = box
        self.numbers = numbers
    }

    /// Gives what broke, empty when all is well.
    mutating func run(isJudged: Bool) throws -> [String] {
        let isFirst = numbers.chance(25)
        counts.append(isFirst ? "first backup" : "incremental")
        story = counts[0]
        box.putBack(as: isFirst ? "empty" : "whole")
        var before = isFirst ? nil : try box.newest()
        var count = isFirst ? 0 : 1
        try box.control("backup", "use", "\(1 + numbers.below(20))")
        var problems: [String] = []
        for _ in 0..<(numbers.chance(25) ? 2 : 1) {
            try breakCable(isFirst)
            let end = try box.backUp(wait: 1)
            // Out first: a break that did not come is forgotten then.
            try box.control("unplug")
            try box.control("replug")
            let listed = try box.snapshots()
            if end.code == 0 {
                // The cable outlived what it was to break at.
                counts.append("not reached")
                count += 1
                before = try box.newest()
            } else if ![21, 50].contains(end.code) {
                problems.append("the run ends with \(end.story)")
            }
            if listed.count != count || !listed.areComplete {
                problems.append("\(listed.count) snapshots are listed after \(end.story)")
            }
            if let before, try box.newest() != before {
                problems.append("the backup before is not what it was")
            }
        }
        let next = try box.backUp()
        if next.code != 0 { problems.append("the next run ends with \(next.story)") }
        let listed = try box.snapshots()
        if listed.count != count + 1 || !listed.areComplete {
            problems.append("\(listed.count) snapshots are listed after the next run")
        }
        if isJudged { problems += try judge() }
        return problems
    }

    private mutating func breakCable(_ isFirst: Bool) throws {
        if numbers.chance(30) {
            let stage = numbers.pick(Self.stages)
            counts.append("at a stage")
            story += ", at \(stage)"
            try box.control("unplug-at", "backup." + stage)
        } else {
            // As many as travel, and some more.
            let bytes = numbers.below(numbers.chance(50) ? 40_000 : isFirst ? 3_600_000 : 900_000)
            counts.append("at a byte")
            story += ", after \(bytes) bytes"
            try box.control("unplug-after", "\(bytes)", "com.apple.mobilebackup2")
        }
    }

    private mutating func judge() throws -> [String] {
        counts.append("restored to a phone")
        var problems: [String] = []
        if let difference = try box.differenceOnTheSecondPhone() { problems.append(difference) }
        guard TrialRestic.isInstalled else { return problems }
        for drive in ["a", "b"] {
            if let wrong = try box.judged(drive) { problems.append(wrong) }
        }
        return problems
    }
}
