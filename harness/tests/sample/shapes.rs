//! Workflows that the sample's tasks have: steps and what each waits for.

pub struct Shape {
    pub steps: &'static [(&'static str, &'static [&'static str])],
    pub stages: u32,
}

pub const LINEAR: Shape = Shape {
    steps: &[
        ("linear_step_1", &[]),
        ("linear_step_2", &["linear_step_1"]),
        ("linear_step_3", &["linear_step_2"]),
        ("linear_step_4", &["linear_step_3"]),
    ],
    stages: 4,
};

pub const DIAMOND: Shape = Shape {
    steps: &[
        ("diamond_start", &[]),
        ("diamond_branch_b", &["diamond_start"]),
        ("diamond_branch_c", &["diamond_start"]),
        ("diamond_end", &["diamond_branch_b", "diamond_branch_c"]),
    ],
    stages: 3,
};

pub const COMPLEX: Shape = Shape {
    steps: &[
        ("dag_init", &[]),
        ("dag_process_left", &["dag_init"]),
        ("dag_process_right", &["dag_init"]),
        ("dag_validate", &["dag_process_left", "dag_process_right"]),
        ("dag_transform", &["dag_process_left"]),
        ("dag_analyze", &["dag_process_right"]),
        ("dag_finalize", &["dag_validate", "dag_transform", "dag_analyze"]),
    ],
    stages: 4,
};

pub const TREE: Shape = Shape {
    steps: &[
        ("tree_root", &[]),
        ("tree_branch_left", &["tree_root"]),
        ("tree_branch_right", &["tree_root"]),
        ("tree_leaf_d", &["tree_branch_left"]),
        ("tree_leaf_e", &["tree_branch_left"]),
        ("tree_leaf_f", &["tree_branch_right"]),
        ("tree_leaf_g", &["tree_branch_right"]),
        ("tree_final_convergence", &["tree_leaf_d", "tree_leaf_e", "tree_leaf_f", "tree_leaf_g"]),
    ],
    stages: 4,
};

pub const CONDITIONAL: Shape = Shape {
    steps: &[
        ("validate_request", &[]),
        ("routing_decision", &["validate_request"]),
        ("manager_approval", &["routing_decision"]),
        ("finalize_approval", &["manager_approval"]),
    ],
    stages: 4,
};

pub const BATCH: Shape = Shape {
    steps: &[
        ("analyze_csv", &[]),
        ("process_csv_batch_001", &["analyze_csv"]),
        ("process_csv_batch_002", &["analyze_csv"]),
        ("process_csv_batch_003", &["analyze_csv"]),
        ("process_csv_batch_004", &["analyze_csv"]),
        ("process_csv_batch_005", &["analyze_csv"]),
        (
            "aggregate_csv_results",
            &[
                "process_csv_batch_001",
                "process_csv_batch_002",
                "process_csv_batch_003",
                "process_csv_batch_004",
                "process_csv_batch_005",
            ],
        ),
    ],
    stages: 3,
};
